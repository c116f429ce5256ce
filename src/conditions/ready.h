#pragma once

#include <perdure/manager.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace perdure::conditions {

/// How often to look: a port that is not open yet has no event that could be waited for.
inline constexpr std::chrono::milliseconds kReadyEvery{100};

/// `tcp:PORT`, `tcp:any:PORT`, `http://HOST:PORT/PATH` or `http+any://...` (I12, I13).
struct ReadyCondition {
  std::uint16_t port = 0;
  bool any = false;  ///< whoever listens, not only the task
  bool is_http = false;
  std::string host;  ///< http: "localhost", or an address
  std::string target = "/";
};
/// Errors: usage.
[[nodiscard]] Result<ReadyCondition> parse_ready(std::string_view text);

/// A process that listens on a port, as far as it can be seen.
struct Listener {
  std::uint64_t inode = 0;
  std::int64_t uid = -1;
  std::int64_t pid = 0;  ///< 0: not visible
};
/// Who listens on a port of this machine, as `pid`'s network namespace and our own show it.
[[nodiscard]] std::vector<Listener> listeners_on(std::uint16_t port, std::int64_t pid = 0);

/// Is the task ready? It is when a process of its tree listens on the port and, for http, answers below 500.
class ReadyCheck {
 public:
  /// Remembers who listens already, for a task that has not been started yet.
  explicit ReadyCheck(ReadyCondition condition, bool owned = false);

  /// From now on the task is known. `is_new`: it was started after this check was made.
  void watch(TaskManager& manager, TaskId id, bool is_new);

  /// One look. Errors: task_launch_failed where the port belonged to another process before the task was started.
  [[nodiscard]] Result<bool> look();
  /// Once look() was true: who listens, where that is not the task's tree; else "".
  [[nodiscard]] const std::string& note() const { return note_; }

 private:
  [[nodiscard]] Result<bool> is_listening();

  ReadyCondition condition_;
  bool owned_ = false, is_new_ = false;
  std::vector<Listener> before_;
  TaskManager* manager_ = nullptr;
  std::vector<TaskId> id_;  // none or one
  std::string note_;
};

/// The last line of its output in which the command says that its address is in use; "" for none.
[[nodiscard]] std::string address_in_use(const TaskManager& manager, const TaskId& id);

}  // namespace perdure::conditions
