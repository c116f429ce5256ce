#pragma once

#include "base/fd.h"
#include "store/session.h"
#include <perdure/task.h>

#include <optional>
#include <string>
#include <vector>

// A task that this session sent to an executor: `tasks/<id>/far.json`, signed, since commands are run from it (L51),
// and an entry `far/<id>` until the local record is terminal.
//
//   entry, no record     being submitted, or the submitting process was killed: the other host has to be asked about it
//   entry and record     it was placed; the record is a mirror
//   record alone         it has ended; far.json says where to remove it
//   far.json alone       stale: the other host was never contacted
namespace perdure::far {

struct StopWanted {
  std::string reason;
  std::int64_t grace_ms = -1;  ///< -1: the task's own
  bool is_quiet = false;
};

struct FarTask {
  Task planned;                      ///< the record before anything is known of the place; `executor` is there
  std::string key;                   ///< the idempotency key there
  std::string machine;               ///< id of the machine that was asked; "": not known
  std::optional<std::string> place;  ///< absent: not known yet
  std::vector<std::string> words;    ///< for `perdure` there: run ...
  std::string input = {};            ///< for its standard input: an agent's prompt
  bool is_parked = false;            ///< slurm: it was not submitted, since as many as may be are
  int attempts = 0;                  ///< slurm: how often a job was submitted
  bool in_scope = false;             ///< started in a systemd scope, so that it outlives the login there
  std::optional<StopWanted> stop;    ///< a stop that may not have reached the other host yet

  [[nodiscard]] const std::string& executor() const { return planned.executor->name; }
};

/// Durable once it returns. Errors: storage_full, session_unusable.
[[nodiscard]] Result<> write_far_task(const store::Session& session, const FarTask& task);

/// Absent: there is none, or it is not signed by this user.
[[nodiscard]] std::optional<FarTask> read_far_task(const store::Session& session, const TaskId& id);

/// Adds the entry, or touches it, which wakes the processes that follow it. Durable once it returns.
[[nodiscard]] Result<> enter(const store::Session& session, const TaskId& id);
/// The right to submit it, until the descriptor is closed. Absent: another process has it, or there is no entry.
[[nodiscard]] Result<std::optional<Fd>> take_entry(const store::Session& session, const TaskId& id);
[[nodiscard]] Result<> remove_entry(const store::Session& session, const TaskId& id);
[[nodiscard]] bool is_entered(const store::Session& session, const TaskId& id);
/// In the order of their ids. Empty if the session has sent no task to another host.
[[nodiscard]] Result<std::vector<TaskId>> entries(const store::Session& session);
[[nodiscard]] std::string entries_path(const store::Session& session);

/// The machine of an executor when it was last used from this session.
struct KnownHost {
  std::string machine;
  bool in_scope = false;  ///< tasks that shall outlive a login there need a scope
};
[[nodiscard]] std::optional<KnownHost> known_host(const store::Session& session, const std::string& executor);
[[nodiscard]] Result<> note_host(const store::Session& session, const std::string& executor, const KnownHost& host);

/// Does the record mirror one on another host?
[[nodiscard]] bool is_mirror(const store::Session& session, const Task& task);

/// A task that waits to be placed, for display: queued. Absent: it was not sent from here, or it has a record.
[[nodiscard]] std::optional<Task> unplaced(const store::Session& session, const TaskId& id);

}  // namespace perdure::far
