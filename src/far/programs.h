#pragma once

#include "base/error.h"

#include <string>

namespace perdure::far {

/// The two programs that are copied to other hosts, and their folder there.
struct Programs {
  std::string perdure, runner;  ///< local paths
  std::string tag;              ///< a hash of both contents, 16 hex digits
  /// Below the home folder there. Files in it are never overwritten: running tasks keep the programs of their start.
  [[nodiscard]] std::string folder() const { return ".perdure/bin/" + tag; }
};

/// `runner` is this installation's perdure-runner; perdure is found where the installation has it. The tag is cached
/// while neither file changes. Errors: task_launch_failed.
[[nodiscard]] Result<Programs> find_programs(const std::string& runner);

}  // namespace perdure::far
