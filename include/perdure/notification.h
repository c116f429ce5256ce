#pragma once

#include <perdure/cancellation.h>
#include <perdure/task.h>

namespace perdure {

struct SessionState;

enum class Severity {
  info,     ///< it completed
  warning,  ///< it was stopped, or its deadline passed
  error     ///< it failed, or was lost
};
[[nodiscard]] PERDURE_API std::string_view name_of(Severity severity);

/// The news that a task has ended, for its owner (L32, L35). All texts but `preview` are our own words with nothing in
/// them that a terminal would obey, and all are valid UTF-8.
struct Notification {
  std::string id = {};           ///< "task:<taskId>:<status>"; of a summary "lost:<taskId>+<taskId>+..."
  std::string type = {};         ///< "task.<status>"; of a summary "tasks.lost"
  std::string source_kind = {};  ///< "background_task"; of a summary "session"
  std::string source_id = {};    ///< the task's id; of a summary the session's folder
  std::optional<AgentId> agent_id = {};
  std::optional<std::string> owner = {};
  Status status = Status::completed;
  std::optional<int> exit_code = {};
  std::optional<int> signal = {};
  std::optional<std::string> reason = {};  ///< why it was stopped, as the stop request gave it
  std::string title = {};                  ///< one line
  Severity severity = Severity::info;
  std::string body = {};
  std::optional<std::string> output_path = {};  ///< absolute path of the log; absent: it printed nothing that was kept
  std::int64_t output_bytes = 0;                ///< bytes that it printed
  std::string preview = {};                     ///< the last 1,024 bytes of the output at most
  std::string failure_line = {};   ///< of one that failed: the line of its output that names the cause, if any
  std::string brief = {};          ///< `body` in few words, for a model that pays for each
  std::vector<TaskId> tasks = {};  ///< what it tells of; acknowledged together
};

/// For people: the title, then the body, indented. Ends with a line end.
[[nodiscard]] PERDURE_API std::string notification_text(const Notification& notification);

/// One JSON object, on one line, without a line end.
[[nodiscard]] PERDURE_API std::string notification_json(const Notification& notification);

/// An element `<notification id category type source_kind source_id agent_id?>` with the children title, severity, body
/// and either `<output-file path bytes>` or `<output-preview>`, which hold the last lines of the output, for the context
/// of a model: nothing that a command printed or was named can end an element or begin one (L26). At most 700 bytes,
/// unless ids and paths alone are longer. Without a line end.
[[nodiscard]] PERDURE_API std::string notification_xml(const Notification& notification);

struct ClaimOptions {
  std::optional<std::string> owner = {};  ///< only endings of this owner's tasks (L43)
  /// Absent: the claim ends with its acknowledgement, with release(), with the manager or with this
  /// process, and others may deliver too if it takes longer than 60 s. Else it stands for that long, whatever happens
  /// to this process: for a process that hands the notification on and exits.
  std::optional<std::chrono::milliseconds> lease = {};
  std::size_t most = 256;  ///< tasks at once, the oldest first: a claim without a lease takes a file descriptor
};

struct AwaitOptions {
  std::optional<std::string> owner = {};
  std::optional<std::chrono::milliseconds> timeout = {};  ///< absent: for ever
  Cancellation cancel = {};                               ///< returns at once, as if the time had passed
  /// A task whose runner was killed is committed as lost, which is news. False: nothing is written (L50), and that such a
  /// task was found is the news.
  bool recovers = true;
};

/// The undelivered notifications of a session: TaskManager::notifications().
class PERDURE_API Notifications {
 public:
  /// Undelivered notifications, oldest first; absent owner: those of all owners. Several lost tasks are reported in one
  /// notification. Never writes, and claims nothing.
  [[nodiscard]] Result<std::vector<Notification>> pending(const std::optional<std::string>& owner = {}) const;

  /// The unclaimed ones, which this manager claims (L32). Deliver them,
  /// then acknowledge() them. Settles tasks whose runner was killed first.
  [[nodiscard]] Result<std::vector<Notification>> claim(const ClaimOptions& options = {}) const;

  /// Releases the claims that this manager holds without a lease.
  void release(const std::vector<Notification>& notifications) const;

  /// Records durably that the notifications were delivered; they are not delivered again (L32, L33). `ids` are ids of notifications or of tasks;
  /// `channel` is a word for the way of delivery, kept as `notifiedVia`. Idempotent. Errors: task_not_found, and usage for a
  /// task that has not ended; all others of the ids are acknowledged all the same.
  [[nodiscard]] Result<void> acknowledge(const std::vector<std::string>& ids, std::string_view channel) const;

  /// Blocks without polling until there is something to claim (true), the time is over or it is cancelled.
  [[nodiscard]] Result<bool> await(const AwaitOptions& options = {}) const;

 private:
  friend class TaskManager;
  explicit Notifications(SessionState& state) : state_(&state) {}
  SessionState* state_;
};

}  // namespace perdure
