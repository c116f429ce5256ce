#pragma once

#include <perdure/manager.h>

#include <vector>

namespace perdure::cli {

/// Stops all of them at once, so that their graces run in parallel; shows progress. The results in the order of `ids`.
[[nodiscard]] std::vector<Result<Task>> stop_each(TaskManager& manager, const std::vector<TaskId>& ids,
                                                  const StopOptions& options);

/// Stops every task whose runner is in this pid namespace, because the namespace ends (L58). Prints failures.
void stop_with_container(TaskManager& manager);

}  // namespace perdure::cli
