#pragma once

#include "manager/far/contact.h"

namespace perdure::manager {

// Requests for a task on another host. `task` is its record here or, while it has none, the planned one. Errors:
// session_unusable if the host does not answer; else the errors of its answer.

/// Returns once it has ended. If the host does not answer, the stop is passed on at the next contact.
[[nodiscard]] Result<Task> stop_far(const FarSide& side, const Task& task, const StopOptions& options);
[[nodiscard]] Result<Task> extend_far(const FarSide& side, const Task& task, std::chrono::milliseconds timeout);
[[nodiscard]] Result<> signal_far(const FarSide& side, const Task& task, int signal_number);
/// A descriptor that writes to its input; the caller closes it.
[[nodiscard]] Result<int> open_input_far(const FarSide& side, const Task& task);
[[nodiscard]] Result<> close_input_far(const FarSide& side, const Task& task);
/// Removes it on the other host. Succeeds if the host does not know it, or if it was never placed.
[[nodiscard]] Result<> remove_far(const FarSide& side, const TaskId& id);

}  // namespace perdure::manager
