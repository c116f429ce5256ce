#pragma once

#include "manager/status/foreground.h"
#include "store/session.h"
#include <perdure/manager.h>

#include <optional>

namespace perdure::manager {

/// One task, from any source: its record, its entry in the queue, its runner in the foreground, or this manager's
/// memory of its end in the foreground.
struct Found {
  Task task;
  std::optional<store::LogFiles> log;  ///< the files of a foreground task's log; absent where the log has a name
  bool has_record = true;
};
/// Absent: there is no such task. Creates and writes nothing (L38, L47).
[[nodiscard]] Result<std::optional<Found>> find_task(const store::Session& session, HeldTasks& held, const TaskId& id);

/// The tasks without a record: queued ones, then those in the foreground.
[[nodiscard]] Result<std::vector<Task>> tasks_without_record(const store::Session& session,
                                                             const std::vector<TaskId>& recordless);

[[nodiscard]] std::unexpected<Error> unknown_task(const store::Session& session, const TaskId& id);

}  // namespace perdure::manager
