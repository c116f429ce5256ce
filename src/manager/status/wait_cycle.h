#pragma once

#include "base/error.h"
#include "store/session.h"

#include <optional>
#include <string>
#include <vector>

// Detects cycles of tasks that wait for each other: a task may wait neither for itself nor for a task that waits for it
// (L43).
namespace perdure::manager {

/// The task of that session inside which this process runs; absent: none.
[[nodiscard]] std::optional<TaskId> task_inside(const store::Session& session);

/// The `wait` request to a runner. It names the task inside which this process runs, if any, so that others can detect
/// a cycle.
[[nodiscard]] std::string wait_request(const store::Session& session);

/// This process waits for `targets` inside the task `self`: does one of them wait for `self`, directly or through other
/// tasks? Call it after the wait requests were registered: of two processes that begin at once, at least one then sees
/// the other. Errors: task_wait_cycle, naming the cycle.
[[nodiscard]] Result<> check_cycle(const store::Session& session, const TaskId& self,
                                   const std::vector<TaskId>& targets);

}  // namespace perdure::manager
