#pragma once

#include "contract/outcome.h"
#include "store/session.h"

#include <optional>

namespace perdure::store {

/// The notes of a runner in its lock file (contract/lock_page.h).
struct RunnerNotes {
  struct Exit {
    bool by_signal = false;
    int value = 0;  ///< exit code or signal
    std::int64_t at_ms = 0;
  };
  struct Decision {
    contract::Cause cause = contract::Cause::none;
    std::int64_t at_ms = 0;
    std::string reason;  ///< unescaped
  };
  std::optional<ProcessIdentity> holder;
  std::string key;  ///< the task's key; "" if the runner was one of 0.1
  bool gate_opened = false;
  bool out_of_memory = false;
  int refused = 0;  ///< errno with which the disk refused the terminal record; 0: none
  std::optional<Exit> exit;
  std::optional<Decision> decision;
};

/// Is the task's runner alive? Call this before reading the record: in the other order an ended task looks lost.
[[nodiscard]] Result<bool> is_runner_alive(const Session& session, const TaskId& id);

/// The errno with which the terminal record was refused, of an ended task whose runner is trying again; 0: none.
[[nodiscard]] int refusal_of(const Session& session, const TaskId& id);

/// Does a runner live that watches processes which the task left running?
[[nodiscard]] Result<bool> has_leftovers(const Session& session, const TaskId& id);

[[nodiscard]] RunnerNotes read_runner_notes(const Session& session, const TaskId& id);

/// runner.lock, taken by a manager to settle a task whose runner died. Read the record again after taking it.
class RunnerLock {
 public:
  /// Absent: a runner or another manager holds it.
  [[nodiscard]] static Result<std::optional<RunnerLock>> take(const Session& session, const TaskId& id);

  /// Waits for the lock up to `patience_ms`: a process that settles, removes or acknowledges a task releases it sooner.
  [[nodiscard]] static Result<std::optional<RunnerLock>> take_within(const Session& session, const TaskId& id,
                                                                     std::int64_t patience_ms);

  /// The page of a task that has this process instead of a runner: who holds it, and the notes that survive its death
  /// (contract/lock_page.h). Writing a note can't fail: introduce() allocated the page.
  [[nodiscard]] Result<> introduce(const ProcessIdentity& holder);
  void note_gate();
  void note_exit(int exit_code, std::int64_t at_ms);
  void note_decision(std::string_view cause, std::string_view escaped_reason, std::int64_t at_ms);

  /// Removes the files that only a living runner needs, then releases the lock.
  void clean_up_and_release();

  /// Releases the lock of an ended task; removes only what take() made, since a runner may still watch left processes.
  void release();

 private:
  RunnerLock(Session session, TaskId id, Fd folder, Fd file)
      : session_(std::move(session)), id_(std::move(id)), folder_(std::move(folder)), file_(std::move(file)) {}
  Session session_;
  TaskId id_;
  Fd folder_, file_;
};

}  // namespace perdure::store
