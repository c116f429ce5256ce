#pragma once

#include "cli/console/call.h"

namespace perdure::cli {

/// The terminal of a task that runs, or its input and output, until it ends or the detach key is pressed (I06). The exit
/// status. Errors: task_input_held, usage where the task has no input and it is not `read_only`.
[[nodiscard]] Result<int> attach(TaskManager& manager, const TaskId& id, const std::string& detach_keys,
                                 bool read_only);

}  // namespace perdure::cli
