#pragma once

#include <perdure/manager.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace perdure::conditions {

/// How often to check: no event reports that a port opens.
inline constexpr std::chrono::milliseconds kReadyEvery{100};

/// `tcp:PORT`, `tcp:any:PORT`, `http://HOST:PORT/PATH` or `http+any://...` (I12, I13).
struct ReadyCondition {
  std::uint16_t port = 0;
  bool any = false;  ///< a listener of any process counts
  bool is_http = false;
  std::string host;  ///< http: "localhost", or an address
  std::string target = "/";
};
/// Errors: usage.
[[nodiscard]] Result<ReadyCondition> parse_ready(std::string_view text);

/// A process that listens on a port, as far as it is visible.
struct Listener {
  std::uint64_t inode = 0;
  std::int64_t uid = -1;
  std::int64_t pid = 0;  ///< 0: not visible
};
/// The listeners on a port of this machine, in `pid`'s network namespace and in this process's own.
[[nodiscard]] std::vector<Listener> listeners_on(std::uint16_t port, std::int64_t pid = 0);

/// Is the task ready? It is when a process of its tree listens on the port and, for http, answers below 500.
class ReadyCheck {
 public:
  /// Notes the present listeners, for a task that has not been started yet.
  explicit ReadyCheck(ReadyCondition condition, bool owned = false);

  /// Sets the task. `is_new`: it was started after this object was made.
  void watch(TaskManager& manager, TaskId id, bool is_new);

  /// Checks once. Errors: task_launch_failed if another process had the port before the task was started.
  [[nodiscard]] Result<bool> look();
  /// Once look() returned true: the listener, if it is not in the task's tree; else "".
  [[nodiscard]] const std::string& note() const { return note_; }

 private:
  [[nodiscard]] Result<bool> is_listening();

  ReadyCondition condition_;
  bool owned_ = false, is_new_ = false;
  std::vector<Listener> before_;
  TaskManager* manager_ = nullptr;
  std::vector<TaskId> id_;  // empty or one id
  std::string note_;
};

/// The last line of its output that says that an address is in use; "" if there is none.
[[nodiscard]] std::string address_in_use(const TaskManager& manager, const TaskId& id);

}  // namespace perdure::conditions
