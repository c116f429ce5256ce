#pragma once

#include "manager/link/launch_spec.h"
#include "manager/link/telemetry.h"
#include "store/queue.h"
#include <perdure/manager.h>

#include <optional>
#include <string>
#include <vector>

namespace perdure::manager {

/// The content of a queue entry: all that is needed to start the runner again if it is killed, and what `list` shows.
/// Signed by this user if there is a key (L51). tasks/<id>, and a subagent's plan, must exist before.
[[nodiscard]] std::string queue_entry_text(const store::Session& session, const Task& task,
                                           std::string_view launch_spec);

/// The task that an entry describes, with status queued. Absent: it has started or ended meanwhile. Errors:
/// record_invalid.
[[nodiscard]] Result<std::optional<Task>> read_queued(const store::Session& session, const store::QueueEntry& entry);

/// All queued tasks in order, each with its position.
[[nodiscard]] Result<std::vector<Task>> queued_tasks(const store::Session& session);

/// Restarts the runners of queued tasks that were killed, and removes what those runners left (architecture, "Queue").
/// Without a queue this costs one attempt to open a folder. `runner`: as in ManagerOptions.
[[nodiscard]] Result<> revive_queue(const store::Session& session, const std::string& runner, Telemetry& telemetry);

/// The same for the first few in the queue and for `asked_for`, so that the cost does not grow with the queue (L66).
/// Each of the others is restarted by the runner that frees a slot for it.
[[nodiscard]] Result<> revive_next(const store::Session& session, const std::string& runner, Telemetry& telemetry,
                                   const std::vector<TaskId>& asked_for);

/// Why a queued task whose runner was killed can't be started again; "": it can. Errors: record_invalid.
[[nodiscard]] Result<std::string> cannot_start_again(const store::Session& session, const store::QueueEntry& entry);

/// A queued task without a live runner and without a signature of this user, and the command it would run.
struct Untrusted {
  Task task;
  std::string runs;
};
[[nodiscard]] Result<std::vector<Untrusted>> untrusted_entries(const store::Session& session);

/// Signs exactly these bytes of its entry, which the user has been shown.
[[nodiscard]] Result<> trust_entry(const store::Session& session, const TaskId& id);

/// The content of an entry: the task with status queued, and the launch specification (SpecParts). Absent: the task has
/// started or ended meanwhile. Errors: record_invalid; usage if it could not be started again as it is.
struct EntryParts {
  Task task;
  std::string launch_spec;
};
[[nodiscard]] Result<std::optional<EntryParts>> entry_parts(const store::Session& session,
                                                            const store::QueueEntry& entry);

/// Replaces the content and the name of an entry, durably. Call with its runner.lock held: a runner that was started from
/// the old content finds another inode, and exits (Queue::adopt).
[[nodiscard]] Result<> replace_entry(const store::Session& session, const store::QueueEntry& entry,
                                     const EntryParts& parts, const std::string& name);

/// Ends a queued task whose runner was killed and could not be restarted. False: it is not in the queue.
[[nodiscard]] Result<bool> end_queued(const store::Session& session, const TaskId& id, const StopOptions& options,
                                      Telemetry& telemetry);

}  // namespace perdure::manager
