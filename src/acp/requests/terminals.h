#pragma once

#include "acp/protocol/connection.h"
#include <perdure/manager.h>

#include <chrono>
#include <map>
#include <mutex>
#include <optional>
#include <string>

namespace perdure::acp {

/// terminal/*: commands of the agent. Each is a foreground task (no slot, no record), owned by the agent, so that it
/// ends with the agent. Thread-safe.
class Terminals {
 public:
  Terminals(TaskManager& manager, std::string folder) : manager_(manager), folder_(std::move(folder)) {}
  /// Sets the owner of the commands that are created later.
  void set_owner(std::string agent_id);

  [[nodiscard]] Handler::Answer create(const json::object& params);
  [[nodiscard]] Handler::Answer output(const json::object& params);
  [[nodiscard]] Handler::Answer wait_for_exit(const json::object& params, const jsonrpc::Call& call);
  [[nodiscard]] Handler::Answer kill(const json::object& params);
  [[nodiscard]] Handler::Answer release(const json::object& params);
  /// Ends all that were not released.
  void release_all();

 private:
  struct Terminal {
    TaskId task;
    std::int64_t limit = 0;
  };
  [[nodiscard]] std::expected<Terminal, jsonrpc::Fault> find(const json::object& params) const;
  /// The task once it has ended, the time is over or `cancel_fd` is readable.
  [[nodiscard]] Result<Task> await_end(const TaskId& task, std::optional<std::chrono::milliseconds> timeout,
                                       int cancel_fd = -1);
  void stop(const TaskId& task);

  TaskManager& manager_;
  std::string folder_;
  mutable std::mutex mutex_;
  std::string owner_;
  std::map<std::string, Terminal> terminals_;
  int last_ = 0;
};

}  // namespace perdure::acp
