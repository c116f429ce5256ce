#pragma once

#include "manager/far/contact.h"

namespace perdure::manager {

// What is asked of a task that runs elsewhere: `task` is its record here, or what stands for it while it has none.
// Errors: session_unusable where the place does not answer; what it answers, else.

/// Returns once it has ended. Where the place does not answer, the stop is passed on at the next contact.
[[nodiscard]] Result<Task> stop_far(const FarSide& side, const Task& task, const StopOptions& options);
[[nodiscard]] Result<Task> extend_far(const FarSide& side, const Task& task, std::chrono::milliseconds timeout);
[[nodiscard]] Result<> signal_far(const FarSide& side, const Task& task, int signal_number);
/// A descriptor that takes its input; the caller's.
[[nodiscard]] Result<int> open_input_far(const FarSide& side, const Task& task);
[[nodiscard]] Result<> close_input_far(const FarSide& side, const Task& task);
/// Removes it there. One that the place does not know, or that was never placed, is removed.
[[nodiscard]] Result<> remove_far(const FarSide& side, const TaskId& id);

}  // namespace perdure::manager
