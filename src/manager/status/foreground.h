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

/// A foreground task as its runner reports it. It has no record, and its log has no name.
struct Look {
  Task task;
  store::LogFiles log;
};

/// Absent: no runner of a foreground task answers there.
[[nodiscard]] Result<std::optional<Look>> look_at_foreground(const store::Session& session, const TaskId& id);

/// Parses a message with descriptors: the answer to `look`, or the end of a foreground task.
[[nodiscard]] Result<Look> read_look(const store::Session& session, const TaskId& id, RunnerMessage message);

/// The foreground tasks that one manager started. Each is held by a connection to its runner; when the connection is
/// closed, the task continues in the background. Thread-safe.
class HeldTasks {
 public:
  struct Held {
    Held(Fd to_runner, Task as_started) : caller(std::move(to_runner)), started(std::move(as_started)) {}
    Fd caller;
    Task started;
    std::mutex mutex;  // guards the members below
    std::optional<ForegroundResult> released;
    std::optional<Look> ended;  // set when it ended in the foreground
  };

  void add(const TaskId& id, Fd caller, Task started);
  [[nodiscard]] std::shared_ptr<Held> find(const TaskId& id);
  /// Call when a task was released. Keeps the 32 that ended last; forgets detached ones.
  void released(const TaskId& id, bool ended);
  void forget(const TaskId& id);
  void clear();

 private:
  std::mutex mutex_;
  std::map<TaskId, std::shared_ptr<Held>> held_;
  std::vector<TaskId> ended_;  // oldest first
};

/// Settles a foreground task whose runner was killed: kills its processes and removes its folder.
[[nodiscard]] Result<Task> settle_foreground(const store::Session& session, Task started);

}  // namespace perdure::manager
