#pragma once

#include "contract/outcome.h"
#include "store/session.h"

#include <optional>

namespace perdure::store {

/// What a runner noted in its lock file (contract/lock_page.h).
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
  std::string key;  ///< the task's; "" where the runner was one of 0.1
  bool gate_opened = false;
  bool out_of_memory = false;
  int refused = 0;  ///< errno with which the record of the end was refused; 0: it was not
  std::optional<Exit> exit;
  std::optional<Decision> decision;
};

/// Is the task's runner alive? Look before reading the record: the other order calls ended tasks lost.
[[nodiscard]] Result<bool> is_runner_alive(const Session& session, const TaskId& id);

/// The errno with which the record of a task was refused that has ended and whose runner tries again; 0: none.
[[nodiscard]] int refusal_of(const Session& session, const TaskId& id);

/// The same for processes that a task left behind at its natural end and a runner that looks after them.
[[nodiscard]] Result<bool> has_leftovers(const Session& session, const TaskId& id);

[[nodiscard]] RunnerNotes read_runner_notes(const Session& session, const TaskId& id);

/// runner.lock taken by a manager, to settle what a dead runner left. Read the record again after taking it.
class RunnerLock {
 public:
  /// Absent: a runner, or another manager, has it.
  [[nodiscard]] static Result<std::optional<RunnerLock>> take(const Session& session, const TaskId& id);

  /// The same once it is free, within `patience_ms`: whoever settles, removes or acknowledges a task is done sooner.
  [[nodiscard]] static Result<std::optional<RunnerLock>> take_within(const Session& session, const TaskId& id,
                                                                     std::int64_t patience_ms);

  /// The page of a task that has no runner but this process: who holds it, and the notes that survive its death
  /// (contract/lock_page.h). Notes can't fail: the page is allocated by introduce().
  [[nodiscard]] Result<> introduce(const ProcessIdentity& holder);
  void note_gate();
  void note_exit(int exit_code, std::int64_t at_ms);
  void note_decision(std::string_view cause, std::string_view escaped_reason, std::int64_t at_ms);

  /// Takes away what only a living runner needs, then lets go.
  void clean_up_and_release();

  /// Lets go of a task that has ended, taking away no more than take() made: a runner may look after its leftovers.
  void release();

 private:
  RunnerLock(Session session, TaskId id, Fd folder, Fd file)
      : session_(std::move(session)), id_(std::move(id)), folder_(std::move(folder)), file_(std::move(file)) {}
  Session session_;
  TaskId id_;
  Fd folder_, file_;
};

}  // namespace perdure::store
