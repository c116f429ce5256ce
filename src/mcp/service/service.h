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
  std::chrono::seconds background_timeout{600};  ///< of commands that name none; 0: no deadline
  StartOptions start;                            ///< what is configured for every task that is started
  std::function<void()> on_start;                ///< called after a task was started in the background
  std::vector<std::string> configured_agents;    ///< names of agents that a configuration speaks of
  bool moves_to_background = true;               ///< false: a foreground command is ended by its timeout
};

/// Whose a task is that a client starts while it works in a folder: its name and the project, which is the folder above
/// that holds a .git, or that folder itself.
[[nodiscard]] std::string default_owner(std::string_view client, const std::string& folder);

/// The tasks of one session, as the clients of one server see them. Thread-safe.
class Service {
 public:
  Service(TaskManager& manager, ServiceOptions options);

  [[nodiscard]] TaskManager& manager() const { return manager_; }
  [[nodiscard]] const ServiceOptions& options() const { return options_; }

  /// A task was started here in the background.
  void note_started(const TaskId& id);
  /// Ends what was started here and still runs, for those who configured that (keep_alive_on_exit = false).
  void stop_started();

  /// Whose tasks a caller starts and sees: --owner; inside a subagent that is a task, its agentId; else the client's
  /// name and the project it works in, so that agents that share a session never get each other's news.
  [[nodiscard]] std::string owner_of(const Caller& caller) const;

  /// The task that this very process is a part of, in this session (rule L43: nobody waits for itself).
  [[nodiscard]] const std::optional<TaskId>& own_task() const { return own_task_; }

  /// An answer that is being written tells of these ends; until it is acknowledged, another answer of this server must
  /// not tell of them again (L32).
  void begin_telling(const std::vector<std::string>& ids);
  void end_telling(const std::vector<std::string>& ids);
  [[nodiscard]] std::multiset<std::string> telling() const;

  /// How much output goes inline into one answer, in bytes. Smaller for clients that were seen to cut earlier.
  [[nodiscard]] static std::int64_t preview_limit(const Caller& caller);

  /// The caller's task of that id, or anybody's. The error is a sentence for the model.
  [[nodiscard]] std::expected<Task, std::string> find(const Caller& caller, std::string_view id, bool all_owners) const;

  /// A task by its id. One whose runner was killed is settled by the way: a client that only polls would else see it
  /// run for ever. Errors: as TaskManager::get.
  [[nodiscard]] Result<Task> look_at(std::string_view id) const;

 private:
  TaskManager& manager_;
  ServiceOptions options_;
  std::string project_;  // absolute
  std::optional<TaskId> own_task_;
  mutable std::mutex mutex_;
  mutable std::optional<std::string> own_agent_;  // once it is known
  std::vector<TaskId> started_;
  std::multiset<std::string> telling_;
};

}  // namespace perdure::mcp
