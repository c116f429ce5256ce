#pragma once

#include "base/error.h"

#include <string>

namespace perdure::far {

/// The two programs that are copied to where tasks run, and the folder there that is theirs alone.
struct Programs {
  std::string perdure, runner;  ///< paths here
  std::string tag;              ///< of both contents, 16 hex digits
  /// Below the home folder there. Never written in place: running tasks keep the programs that they were started with.
  [[nodiscard]] std::string folder() const { return ".perdure/bin/" + tag; }
};

/// `runner` is this installation's perdure-runner; perdure is looked for where the installation has it. The tag is kept
/// between calls, for as long as neither file changes. Errors: task_launch_failed.
[[nodiscard]] Result<Programs> find_programs(const std::string& runner);

}  // namespace perdure::far
