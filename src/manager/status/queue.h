#pragma once

#include "manager/link/launch_spec.h"
#include "manager/link/telemetry.h"
#include "store/queue.h"
#include <perdure/manager.h>

#include <optional>
#include <string>
#include <vector>

namespace perdure::manager {

/// The content of an entry: what a killed runner would need to be started again, and what people want to know.
/// Signed by this user, where there is a key (L51); tasks/<id> and the plan of a subagent must be there.
[[nodiscard]] std::string queue_entry_text(const store::Session& session, const Task& task,
                                           std::string_view launch_spec);

/// The task as its entry tells of it, status queued. Absent: it has started or ended meanwhile. Errors: record_invalid.
[[nodiscard]] Result<std::optional<Task>> read_queued(const store::Session& session, const store::QueueEntry& entry);

/// All of them, in their order, each with its place.
[[nodiscard]] Result<std::vector<Task>> queued_tasks(const store::Session& session);

/// Starts the runners of entries whose runner was killed, and clears away what such a death left (architecture, "Queue").
/// Costs one look at a folder where there is no queue. `runner`: as in ManagerOptions.
[[nodiscard]] Result<> revive_queue(const store::Session& session, const std::string& runner, Telemetry& telemetry);

/// The same for the first few in the queue, and for `asked_for`, so that it costs the same whatever is queued (L66). Of
/// the others, each is looked at when its turn comes: by the runner that makes room for it.
[[nodiscard]] Result<> revive_next(const store::Session& session, const std::string& runner, Telemetry& telemetry,
                                   const std::vector<TaskId>& asked_for);

/// Why a task whose runner was killed can't be started again as it waits; "": it can. Errors: record_invalid.
[[nodiscard]] Result<std::string> cannot_start_again(const store::Session& session, const store::QueueEntry& entry);

/// A queued task without a live runner that this user has not signed, and what it would run.
struct Untrusted {
  Task task;
  std::string runs;
};
[[nodiscard]] Result<std::vector<Untrusted>> untrusted_entries(const store::Session& session);

/// Signs exactly the bytes of its entry: the user has looked at them.
[[nodiscard]] Result<> trust_entry(const store::Session& session, const TaskId& id);

/// What an entry would start: the task with status queued, and the launch specification (SpecParts). Absent: it has
/// started or ended meanwhile. Errors: record_invalid; usage where it could not be started again as it is.
struct EntryParts {
  Task task;
  std::string launch_spec;
};
[[nodiscard]] Result<std::optional<EntryParts>> entry_parts(const store::Session& session,
                                                            const store::QueueEntry& entry);

/// Has it start that instead, under that name. To be called with its runner.lock: a runner that is being started with
/// what was read before finds another file, and leaves (Queue::adopt). Durable.
[[nodiscard]] Result<> replace_entry(const store::Session& session, const store::QueueEntry& entry,
                                     const EntryParts& parts, const std::string& name);

/// Ends a queued task whose runner was killed and could not be started again. False: it is not in the queue.
[[nodiscard]] Result<bool> end_queued(const store::Session& session, const TaskId& id, const StopOptions& options,
                                      Telemetry& telemetry);

}  // namespace perdure::manager
