#include <perdure/config.h>

#include <utility>

// The agents known by name, which need no configuration, and how a configuration changes them.
namespace perdure {
namespace {

using Words = std::vector<std::string>;

// An installed wrapper is preferred to one that npx would have to download.
std::pair<const char*, std::vector<Words>> through_npx(const char* name, const char* program, const char* package) {
  return {name, {{program}, {"npx", "-y", package}}};
}

std::vector<std::pair<const char*, std::vector<Words>>> known_commands() {
  return {
      through_npx("claude", "claude-agent-acp", "@agentclientprotocol/claude-agent-acp"),
      through_npx("codex", "codex-acp", "@agentclientprotocol/codex-acp"),
      {"gemini", {{"gemini", "--acp"}}},
      {"kimi", {{"kimi", "acp"}}},
      {"opencode", {{"opencode", "acp"}}},
      {"qwen", {{"qwen", "--acp"}}},
      {"copilot", {{"copilot", "--acp"}}},
      {"goose", {{"goose", "acp"}}},
  };
}

// Members that are not configured keep their values.
void apply(const ConfiguredAgent& configured, AgentDefinition& agent) {
  if (!configured.command.empty()) agent.commands = {configured.command};
  for (const auto& [name, value] : configured.env) agent.env[name] = value;
  if (configured.cwd) agent.cwd = configured.cwd;
  if (configured.mode) agent.mode = configured.mode;
  if (configured.model) agent.model = configured.model;
  if (configured.permission) agent.permission = *configured.permission;
  if (configured.timeout) agent.timeout = *configured.timeout;
  if (configured.auth) agent.auth = configured.auth;
}

}  // namespace

std::vector<AgentDefinition> built_in_agents() {
  std::vector<AgentDefinition> agents;
  for (auto& [name, commands] : known_commands()) {
    AgentDefinition agent{.name = name};
    agent.commands = std::move(commands);
    agents.push_back(std::move(agent));
  }
  return agents;
}

std::map<std::string, AgentDefinition> agent_definitions(const Config& config) {
  std::map<std::string, AgentDefinition> agents;
  for (auto& agent : built_in_agents()) agents.emplace(agent.name, std::move(agent));
  for (const auto& [name, configured] : config.agents) agents[name].name = name;
  for (auto& [name, agent] : agents) {
    agent.timeout = config.agent_task_timeout.value;
    if (const auto found = config.agents.find(name); found != config.agents.end()) apply(found->second, agent);
  }
  return agents;
}

}  // namespace perdure
