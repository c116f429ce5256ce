#pragma once

#include <perdure/executor.h>
#include <perdure/task.h>

namespace perdure {

struct SessionState;

/// A file under tasks/ that looks like a record and is none (L20).
struct BadRecord {
  std::string path = {};
  std::string reason = {};  ///< which key, and what is wrong with it
};

/// What reconcile found out about one task.
struct ReconcileResult {
  Task task;                        ///< as it is now
  Status before = Status::running;  ///< what its record said
  bool changed = false;             ///< this call wrote the record
  std::string explained = {};       ///< in words: what was checked, and the result
};

struct ReconcileOptions {
  bool queue_only = false;   ///< start queued tasks again, and nothing else
  bool assume_lost = false;  ///< a person's word: what can't be verified is lost
};

/// One thing that `doctor` found. `problem` findings make the command line exit with 1.
struct Finding {
  enum class Level { note, problem } level = Level::note;
  std::string what = {};  ///< which file or task
  std::string text = {};  ///< the problem, and what to do
};

struct RetentionOptions {
  std::optional<std::chrono::milliseconds> older_than = {};  ///< by the end of the task
  std::optional<std::int64_t> keep = {};                     ///< keep the newest N ended tasks
  std::optional<std::int64_t> max_bytes = {};                ///< of all ended tasks together
  bool undelivered = false;                                  ///< also tasks with an undelivered notification
  bool dry_run = false;
};

struct GcResult {
  std::vector<TaskId> tasks = {};
  std::int64_t bytes = 0;              ///< given back to the disk
  std::int64_t litter = 0;             ///< folders and temporaries of dead processes swept besides
  std::int64_t undelivered = 0;        ///< tasks kept because their owner has not been told of the end
  std::vector<std::string> kept = {};  ///< what could not be removed, and why
};

/// What a file of the session wants to run, and this user has not signed (L51).
struct UntrustedEntry {
  TaskId id;
  std::string runs = {};
};

/// Keeping a session in order: TaskManager::upkeep().
class PERDURE_API Upkeep {
 public:
  /// Settles what can be proven, in every folder of the session (L22, L39).
  [[nodiscard]] Result<std::vector<ReconcileResult>> reconcile(const ReconcileOptions& options = {}) const;

  /// Everything that is wrong, or worth knowing, about the session.
  [[nodiscard]] Result<std::vector<Finding>> doctor() const;

  /// Removes an ended task with its log. A live one, or one with leftovers, is refused (details["running"]).
  [[nodiscard]] Result<void> remove(const TaskId& id) const;

  /// Removes ended tasks by age, number and size; never a live one, nor, unless that is asked for, one whose owner has
  /// not been told of its end (docs/internals/disk-format.md).
  [[nodiscard]] Result<GcResult> collect_garbage(const RetentionOptions& options) const;

  /// Is it time to collect_garbage()? True at most once a day for a session, and for one caller in any process. False
  /// where the session does not exist, or is not to be written just now.
  [[nodiscard]] Result<bool> sweep_is_due() const;

  /// Every file under tasks/ that looks like a record and is none, with the exact reason (L20).
  [[nodiscard]] Result<std::vector<BadRecord>> bad_records() const;

  /// What files of this session want to run and this user has not signed (L51): of each task without a living runner the
  /// command in its queue entry, or its onEnd. Read-only.
  [[nodiscard]] Result<std::vector<UntrustedEntry>> untrusted() const;
  /// Signs exactly what untrusted() showed of that task's queue entry.
  [[nodiscard]] Result<void> trust(const TaskId& id) const;

  /// Looks at an executor: can it be reached, what is there? Errors: usage for a name that is not configured.
  [[nodiscard]] Result<ExecutorReport> check_executor(const std::string& name) const;

  /// Asks every executor that has tasks of this session how they are, and writes down what it says. One that does not
  /// answer is no error: its tasks are unverified then.
  [[nodiscard]] Result<void> refresh() const;

  /// Starts runners of queued tasks whose runner was killed, as far as this user signed them (L50, L51). Starting, asking,
  /// waiting and reconcile() do this at their first call; a long-lived program may want to do it at its start.
  [[nodiscard]] Result<void> restart_queue() const;

 private:
  friend class TaskManager;
  explicit Upkeep(SessionState& state) : state_(&state) {}
  SessionState* state_;
};

}  // namespace perdure
