#pragma once

#include "manager/link/runner_client.h"
#include "store/output_log.h"
#include <perdure/manager.h>

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace perdure::manager {

/// A foreground task as its runner tells of it: it has no record, and its log no name.
struct Look {
  Task task;
  store::LogFiles log;
};

/// Absent: no runner of a foreground task answers there.
[[nodiscard]] Result<std::optional<Look>> look_at_foreground(const store::Session& session, const TaskId& id);

/// What a message with descriptors says: the answer to a look, or an end in the foreground.
[[nodiscard]] Result<Look> read_look(const store::Session& session, const TaskId& id, RunnerMessage message);

/// The foreground tasks that one manager started. Each is held by a connection to its runner: closing it lets the task
/// go on in the background. Thread-safe.
class HeldTasks {
 public:
  struct Held {
    Held(Fd to_runner, Task as_started) : caller(std::move(to_runner)), started(std::move(as_started)) {}
    Fd caller;
    Task started;
    std::mutex mutex;  // of what is below
    std::optional<ForegroundResult> released;
    std::optional<Look> ended;  // the end in the foreground
  };

  void add(const TaskId& id, Fd caller, Task started);
  [[nodiscard]] std::shared_ptr<Held> find(const TaskId& id);
  /// Called when one has been released. Keeps those that ended last; lets go of detached ones.
  void released(const TaskId& id, bool ended);
  void forget(const TaskId& id);
  void clear();

 private:
  std::mutex mutex_;
  std::map<TaskId, std::shared_ptr<Held>> held_;
  std::vector<TaskId> ended_;  // oldest first
};

/// What has become of a foreground task whose runner was killed: its processes are ended and its folder is removed.
[[nodiscard]] Result<Task> settle_foreground(const store::Session& session, Task started);

}  // namespace perdure::manager
