#pragma once

#include "base/error.h"
#include "base/fd.h"

#include <string>

namespace perdure::manager {

/// Starts a runner for `tasks/<id>` and returns its answer line (contract/control.h), without its end.
/// Leaves no child behind: the runner detaches itself. Errors: task_launch_failed.
[[nodiscard]] Result<std::string> spawn_runner(const std::string& runner, const std::string& session,
                                               const std::string& id, const std::string& marker, const Fd& spec);

}  // namespace perdure::manager
