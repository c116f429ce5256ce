#pragma once

#include "manager/link/idempotency.h"
#include <perdure/manager.h>

#include <optional>

namespace perdure::manager {

/// Errors: usage for an invalid name (I20).
[[nodiscard]] Result<> check_name(const std::string& name);

/// The live task of a reserved name; a queued one counts as live (I22).
[[nodiscard]] Result<std::optional<Task>> live_task_of(const TaskManager& manager, const store::Session& session,
                                                       const KeyReservation& name);

/// What a start does if `holder` has its name. A task: start() returns it. Absent: `holder` is to be replaced. Errors:
/// task_limit_exceeded if it is refused; details["task"] is the holder.
[[nodiscard]] Result<std::optional<Task>> decide_about_name(const TaskManager& manager, const StartOptions& options,
                                                            const std::string& cwd, const Task& holder);

}  // namespace perdure::manager
