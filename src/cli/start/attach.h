#pragma once

#include "cli/console/call.h"

namespace perdure::cli {

/// Connects the terminal to that of a running task, or to its input and output, until it ends or the detach key is
/// pressed (I06). Returns the exit status. Errors: task_input_held; usage if the task has no input and it is not
/// `read_only`.
[[nodiscard]] Result<int> attach(TaskManager& manager, const TaskId& id, const std::string& detach_keys,
                                 bool read_only);

}  // namespace perdure::cli
