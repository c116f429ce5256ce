#pragma once

#include <perdure/agent.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

// tasks/<id>/agent.json: the plan for a subagent's driver (docs/internals/disk-format.md).
namespace perdure::codec {

struct AgentPlan {
  std::string agent;                 ///< its configured name
  std::vector<std::string> command;  ///< with arguments; argv[0] is looked up in the driver's PATH
  std::string cwd;                   ///< absolute
  std::string prompt;
  std::optional<std::string> resume;  ///< agentId
  std::optional<std::string> mode, model, auth;
  std::optional<std::string> owner;  ///< of the task: the one asked for permission
  PermissionPolicy permission = PermissionPolicy::ask;
  std::chrono::milliseconds permission_timeout{0};  ///< above 0
  bool thoughts = false;
};

[[nodiscard]] std::string encode_plan(const AgentPlan& plan);
/// Errors: record_invalid, naming the key.
[[nodiscard]] Result<AgentPlan> decode_plan(std::string_view json);

/// The members that a driver adds to its task's record.
struct AgentNote {
  std::string agent_id;  ///< empty: unknown, and not written
  std::optional<std::string> model;
  std::optional<std::string> stop_code;
  std::map<std::string, std::int64_t> usage;
};
/// In the form of `note` in contract/control.h: JSON members without braces, ASCII, agentId first; "" if there are
/// none.
[[nodiscard]] std::string note_members(const AgentNote& note);

}  // namespace perdure::codec
