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
  std::optional<bool> matched;      ///< with a condition: whether it became true
  std::optional<std::string> line;  ///< the line that matched
  std::string note;                 ///< with a port: its listener, if that is not the task; else ""
};

/// One call that blocks until a condition on tasks is true, its time is over, or its answer is no longer wanted.
/// Reports progress once a second.
class Waiting {
 public:
  Waiting(ToolCall& call, std::vector<TaskId> ids, std::chrono::milliseconds timeout);

  [[nodiscard]] std::int64_t waited_ms() const;
  /// When it began, ms since the epoch.
  [[nodiscard]] std::int64_t begun_ms() const;

  Result<Waited> for_ends(WaitMode mode);
  /// A condition on the first task; the wait also ends with the task. Errors: usage, naming the argument.
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

/// Notes the present listeners, so call it before the task is started. Errors: usage, naming the argument.
[[nodiscard]] Result<conditions::ReadyCheck> ready_check(const std::string& where);

/// What is wrong with a condition, to be checked before anything is started.
[[nodiscard]] std::optional<std::string> condition_fault(const std::optional<std::string>& match,
                                                         const std::optional<std::string>& ready);

}  // namespace perdure::mcp
