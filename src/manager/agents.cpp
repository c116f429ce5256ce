#include <perdure/agent.h>
#include <perdure/config.h>

#include <utility>

namespace perdure {
namespace {

AgentDefinition built_in(std::string name, std::vector<std::vector<std::string>> commands) {
  AgentDefinition agent;
  agent.name = std::move(name);
  agent.commands = std::move(commands);
  return agent;
}

void change(AgentDefinition& agent, const ConfiguredAgent& configured) {
  // All alternatives go: where the person's own program is missing, another must not run in its place unasked.
  if (!configured.command.empty()) agent.commands = {configured.command};
  for (const auto& [name, value] : configured.env) agent.env.insert_or_assign(name, value);
  if (configured.cwd) agent.cwd = configured.cwd;
  if (configured.mode) agent.mode = configured.mode;
  if (configured.model) agent.model = configured.model;
  if (configured.permission) agent.permission = *configured.permission;
  if (configured.timeout) agent.timeout = *configured.timeout;
  if (configured.auth) agent.auth = configured.auth;
}

}  // namespace

std::vector<AgentDefinition> built_in_agents() {
  // Claude and Codex speak the protocol by an adapter only, which npx fetches where it is not installed.
  return {
      built_in("claude", {{"claude-agent-acp"}, {"npx", "-y", "@agentclientprotocol/claude-agent-acp"}}),
      built_in("codex", {{"codex-acp"}, {"npx", "-y", "@agentclientprotocol/codex-acp"}}),
      built_in("gemini", {{"gemini", "--acp"}}),
      built_in("kimi", {{"kimi", "acp"}}),
      built_in("opencode", {{"opencode", "acp"}}),
      built_in("qwen", {{"qwen", "--acp"}}),
      built_in("copilot", {{"copilot", "--acp"}}),
      built_in("goose", {{"goose", "acp"}}),
  };
}

std::map<std::string, AgentDefinition> agent_definitions(const Config& config) {
  std::map<std::string, AgentDefinition> agents;
  for (auto& agent : built_in_agents()) {
    agent.timeout = config.agent_task_timeout.value;
    agents.emplace(agent.name, std::move(agent));
  }
  for (const auto& [name, configured] : config.agents) {
    const auto [at, is_new] = agents.try_emplace(name);
    if (is_new) {
      at->second.name = name;
      at->second.timeout = config.agent_task_timeout.value;
    }
    change(at->second, configured);
  }
  return agents;
}

}  // namespace perdure
