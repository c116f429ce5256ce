#pragma once

#include <perdure/manager.h>

namespace perdure {

/// What a subagent hears when it asks for permission.
enum class PermissionPolicy {
  allow,  ///< yes, once where it can be said once
  deny,   ///< no
  ask     ///< its owner is asked by a question task; without an answer in time the request is refused
};
/// "allow", "deny", "ask".
[[nodiscard]] PERDURE_API std::string_view name_of(PermissionPolicy policy);

/// An agent that speaks the Agent Client Protocol on its standard input and output.
struct AgentDefinition {
  std::string name = {};
  std::vector<std::vector<std::string>> commands = {};  ///< with arguments; the first whose program is there is run
  std::map<std::string, std::string> env = {};          ///< added to the caller's
  std::optional<std::string> cwd = {};                  ///< absolute; absent: the caller's
  std::optional<std::string> mode = {};                 ///< id of a mode of the agent's own
  std::optional<std::string> model = {};                ///< id of a model of the agent's own
  PermissionPolicy permission = PermissionPolicy::ask;
  std::chrono::milliseconds timeout{0};  ///< of a turn that has none of its own; 0: no deadline
  std::optional<std::string> auth = {};  ///< id of a method of the agent's own; absent: it is logged in already
};

/// The agents that need no configuration: claude, codex, gemini, kimi, opencode, qwen, copilot, goose.
[[nodiscard]] PERDURE_API std::vector<AgentDefinition> built_in_agents();

/// One turn of a subagent.
struct AgentOptions {
  std::string agent = {};                  ///< name of a definition; with `resume` only where two agents share the id
  std::string prompt = {};                 ///< with `resume` it may be empty: go on
  std::optional<std::string> resume = {};  ///< agentId of a conversation that is to go on (L31)
  std::optional<std::string> model = {};   ///< instead of the definition's
  std::optional<std::string> mode = {};
  std::optional<PermissionPolicy> permission = {};
  std::chrono::milliseconds permission_timeout{
      std::chrono::minutes(30)};  ///< after which an unanswered question counts as a refusal
  bool thoughts = false;          ///< what the agent thinks is kept in the activity, too
  /// Everything that any task has. Not for agents: argv, shell_line, input, terminal, stream_fd, idle_timeout,
  /// leftovers (nothing of a subagent outlives it), detached. A `timeout` of 0 is the definition's; `no_deadline` none.
  StartOptions start = {};
  bool no_deadline = false;
};

}  // namespace perdure
