#pragma once

#include "manager/status/foreground.h"
#include "store/session.h"
#include <perdure/manager.h>

#include <optional>

namespace perdure::manager {

/// One task, wherever it is known from: its record, its place in the queue, its runner in the foreground, or this
/// manager's memory of how it ended there.
struct Found {
  Task task;
  std::optional<store::LogFiles> log;  ///< of a foreground task; else the log has a name
  bool has_record = true;
};
/// Absent: there is no such task. Nothing is made or written (L38, L47).
[[nodiscard]] Result<std::optional<Found>> find_task(const store::Session& session, HeldTasks& held, const TaskId& id);

/// The tasks that have no record: queued ones, then, of the folders without a record, those in the foreground.
[[nodiscard]] Result<std::vector<Task>> tasks_without_record(const store::Session& session,
                                                             const std::vector<TaskId>& recordless);

[[nodiscard]] std::unexpected<Error> unknown_task(const store::Session& session, const TaskId& id);

}  // namespace perdure::manager
