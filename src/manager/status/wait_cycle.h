#pragma once

#include "base/error.h"
#include "store/session.h"

#include <optional>
#include <string>
#include <vector>

// Who waits for whom: nobody may wait for itself, nor for one that waits for it (L43).
namespace perdure::manager {

/// The task of that session which this process is a part of; absent: none.
[[nodiscard]] std::optional<TaskId> task_inside(const store::Session& session);

/// How a runner is asked to tell of the end: with the task that this process is a part of, if any, so that others see
/// who waits for whom.
[[nodiscard]] std::string wait_request(const store::Session& session);

/// We wait for `targets` inside `self`: does one of them, in one step or many, wait for us? Called once we are registered
/// with them, so that of two who begin at once at least one sees the other. Errors: task_wait_cycle, naming the cycle.
[[nodiscard]] Result<> check_cycle(const store::Session& session, const TaskId& self,
                                   const std::vector<TaskId>& targets);

}  // namespace perdure::manager
