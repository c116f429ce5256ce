#pragma once

#include "mcp/protocol/protocol.h"
#include <perdure/manager.h>

#include <chrono>
#include <functional>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace perdure::mcp {

struct ServiceOptions {
  std::optional<std::string> owner;              ///< of every task; absent: client name and project root
  std::chrono::seconds background_timeout{600};  ///< for commands without one of their own; 0: no deadline
  StartOptions start;                            ///< the configured options of every task
  std::function<void()> on_start;                ///< called after a task was started in the background
  std::vector<std::string> configured_agents;    ///< names of agents in the configuration
  bool moves_to_background = true;               ///< false: a foreground command is stopped at its timeout
};

/// The owner of tasks that a client starts while it works in a folder: its name and the project, which is the nearest
/// ancestor with a .git, or that folder itself.
[[nodiscard]] std::string default_owner(std::string_view client, const std::string& folder);

/// The tasks of one session, as the clients of one server see them. Thread-safe.
class Service {
 public:
  Service(TaskManager& manager, ServiceOptions options);

  [[nodiscard]] TaskManager& manager() const { return manager_; }
  [[nodiscard]] const ServiceOptions& options() const { return options_; }

  /// Call when a task was started here in the background.
  void note_started(const TaskId& id);
  /// Stops the running tasks that were started here, if that is configured (keep_alive_on_exit = false).
  void stop_started();

  /// The owner of a caller's tasks: --owner; inside a subagent's task, its agentId; else the client's name and its
  /// project, so that agents that share a session do not get each other's notifications.
  [[nodiscard]] std::string owner_of(const Caller& caller) const;

  /// The task inside which this process runs, in this session (L43: a task can't wait for itself).
  [[nodiscard]] const std::optional<TaskId>& own_task() const { return own_task_; }

  /// These ends are in an answer that is being written. Until they are acknowledged, no other answer of this server may
  /// contain them (L32).
  void begin_telling(const std::vector<std::string>& ids);
  void end_telling(const std::vector<std::string>& ids);
  [[nodiscard]] std::multiset<std::string> telling() const;

  /// Maximum of output in one answer, in bytes. Smaller for clients that are known to cut earlier.
  [[nodiscard]] static std::int64_t preview_limit(const Caller& caller);

  /// The caller's task of that id, or one of any owner. The error is a sentence for the model.
  [[nodiscard]] std::expected<Task, std::string> find(const Caller& caller, std::string_view id, bool all_owners) const;

  /// A task by its id. If its runner was killed, it is settled: a client that only polls would otherwise see it run for
  /// ever. Errors: as TaskManager::get.
  [[nodiscard]] Result<Task> look_at(std::string_view id) const;

 private:
  TaskManager& manager_;
  ServiceOptions options_;
  std::string project_;  // absolute
  std::optional<TaskId> own_task_;
  mutable std::mutex mutex_;
  mutable std::optional<std::string> own_agent_;  // set once it is known
  std::vector<TaskId> started_;
  std::multiset<std::string> telling_;
};

}  // namespace perdure::mcp
