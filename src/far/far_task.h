#pragma once

#include "base/fd.h"
#include "store/session.h"
#include <perdure/task.h>

#include <optional>
#include <string>
#include <vector>

// What this session sent to an executor: `tasks/<id>/far.json`, signed, since it is acted upon (L51), and an entry
// `far/<id>` for as long as the record here is not that of the end.
//
//   entry, no record     being submitted, or whoever did so was killed: whether the place knows of it is to be asked there
//   entry and record     it was placed; the record is a mirror
//   record alone         it has ended; far.json says where to remove it
//   far.json alone       litter: the place was never asked
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
  bool is_parked = false;            ///< slurm: it was not submitted, since as many as may be are
  int attempts = 0;                  ///< slurm: how often a job was submitted
  bool in_scope = false;             ///< started so that it outlives the login there
  std::optional<StopWanted> stop;    ///< a stop that the place may not have heard of

  [[nodiscard]] const std::string& executor() const { return planned.executor->name; }
};

/// Durable once it returns. Errors: storage_full, session_unusable.
[[nodiscard]] Result<> write_far_task(const store::Session& session, const FarTask& task);

/// Absent: there is none, or it is not signed by this user.
[[nodiscard]] std::optional<FarTask> read_far_task(const store::Session& session, const TaskId& id);

/// Adds the entry, or touches it, which wakes whoever follows. Durable once it returns.
[[nodiscard]] Result<> enter(const store::Session& session, const TaskId& id);
/// The right to submit it, until the descriptor is closed. Absent: another process is at it, or there is no entry.
[[nodiscard]] Result<std::optional<Fd>> take_entry(const store::Session& session, const TaskId& id);
[[nodiscard]] Result<> remove_entry(const store::Session& session, const TaskId& id);
[[nodiscard]] bool is_entered(const store::Session& session, const TaskId& id);
/// In the order of their ids. A session that has sent nothing anywhere has none.
[[nodiscard]] Result<std::vector<TaskId>> entries(const store::Session& session);
[[nodiscard]] std::string entries_path(const store::Session& session);

/// Which machine an executor was when it was last used from this session.
struct KnownHost {
  std::string machine;
  bool in_scope = false;  ///< what is to outlive a login there needs a scope
};
[[nodiscard]] std::optional<KnownHost> known_host(const store::Session& session, const std::string& executor);
[[nodiscard]] Result<> note_host(const store::Session& session, const std::string& executor, const KnownHost& host);

/// Does the record mirror one that is elsewhere?
[[nodiscard]] bool is_mirror(const store::Session& session, const Task& task);

/// What is waiting to be placed, as it is shown: queued. Absent: not sent from here, or it has a record.
[[nodiscard]] std::optional<Task> unplaced(const store::Session& session, const TaskId& id);

}  // namespace perdure::far
