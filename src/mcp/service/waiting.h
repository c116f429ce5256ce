#pragma once

#include "conditions/ready.h"
#include "mcp/service/tool.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace perdure::mcp {

struct Waited {
  WaitResult result;
  std::optional<bool> matched;      ///< with a condition: whether it came true
  std::optional<std::string> line;  ///< the line that matched
  std::string note;                 ///< with a port: who listens, where that is not the task; else ""
};

/// One call that blocks until something is true of tasks, until its time has passed, or until nobody waits any more.
/// Reports progress once a second.
class Waiting {
 public:
  Waiting(ToolCall& call, std::vector<TaskId> ids, std::chrono::milliseconds timeout);

  [[nodiscard]] std::int64_t waited_ms() const;
  /// When it began, ms since the epoch.
  [[nodiscard]] std::int64_t begun_ms() const;

  Result<Waited> for_ends(WaitMode mode);
  /// Of the first task; also until that has ended. Errors: usage, naming the argument.
  Result<Waited> for_match(const std::string& pattern);
  Result<Waited> for_ready(conditions::ReadyCheck& check);

 private:
  [[nodiscard]] bool is_over() const;
  [[nodiscard]] std::chrono::milliseconds most(std::chrono::milliseconds wanted) const;
  Result<WaitResult> slice(std::chrono::milliseconds wanted);
  void report(std::string_view message);

  ToolCall& call_;
  std::vector<TaskId> ids_;
  std::int64_t begun_, until_, reported_ = 0;
};

/// Notes who listens already, so it is to be made before the task is started. Errors: usage, naming the argument.
[[nodiscard]] Result<conditions::ReadyCheck> ready_check(const std::string& where);

/// What is wrong with a condition, before anything is started for it.
[[nodiscard]] std::optional<std::string> condition_fault(const std::optional<std::string>& match,
                                                         const std::optional<std::string>& ready);

}  // namespace perdure::mcp
