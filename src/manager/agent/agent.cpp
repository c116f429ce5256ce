#include "base/error.h"
#include "base/try.h"
#include "codec/agent_plan.h"
#include "manager/agent/agent_resume.h"
#include "manager/far/contact.h"
#include "manager/link/launch_kind.h"
#include "manager/link/program.h"
#include "manager/link/state.h"
#include <perdure/agent.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>

namespace perdure {

using namespace manager;

namespace {

constexpr const char* kGoOn = "Continue where you left off.";
constexpr std::string_view kDriver = "perdure";

Result<> check(const AgentOptions& options) {
  const StartOptions& start = options.start;
  if (options.prompt.find_first_not_of(" \t\r\n") == std::string::npos && !options.resume)
    return fail(ErrorCode::usage, "there is no prompt: say what the subagent is to do");
  if (options.agent.empty() && !options.resume)
    return fail(ErrorCode::usage, "which agent? `perdure agents` lists those that are known");
  if (options.resume && options.resume->empty()) return fail(ErrorCode::usage, "the agent id to resume is empty");
  if (!start.argv.empty() || start.shell_line || start.input != Input::null || start.terminal || start.stream_fd >= 0 ||
      start.idle_timeout.count() != 0 || !start.detached)
    return fail(
        ErrorCode::usage,
        "a subagent has no command, input, terminal or idle timeout of the caller's, and runs in the background");
  if (options.permission_timeout.count() <= 0)
    return fail(ErrorCode::usage, "the time for an answer to a question of permission must be above 0");
  return {};
}

Result<AgentDefinition> find_definition(const ManagerOptions& manager, const std::string& name) {
  std::vector<std::string> names;
  if (manager.agents) {
    if (const auto found = manager.agents->find(name); found != manager.agents->end()) return found->second;
    for (const auto& [known, definition] : *manager.agents) names.push_back(known);
  } else {
    for (auto& definition : built_in_agents()) {
      if (definition.name == name) return std::move(definition);
      names.push_back(definition.name);
    }
  }
  return fail(
      ErrorCode::agent_not_found,
      fmt::format("no agent is called '{}': there are {}; others are made by [agents.NAME] in the configuration", name,
                  fmt::join(names, ", ")));
}

// The first command whose program is installed.
Result<std::vector<std::string>> choose_command(const AgentDefinition& agent, const StartOptions& start) {
  if (agent.commands.empty())
    return fail(ErrorCode::config_invalid, fmt::format("[agents.{}] has no command", agent.name));
  const auto environment = environment_for(start, "");
  const auto path = environment.find("PATH");
  const std::string cwd = start.cwd.empty() ? "." : start.cwd;
  for (const auto& command : agent.commands) {
    if (command.empty()) continue;
    const auto program = find_program(command.front(), path == environment.end() ? "" : path->second, cwd);
    std::error_code ignored;
    if (program && (!command.front().contains('/') || std::filesystem::exists(*program, ignored))) return command;
  }
  std::vector<std::string> looked_for;
  for (const auto& command : agent.commands)
    if (!command.empty()) looked_for.push_back(command.front());
  return launch_failure(127, ENOENT,
                        fmt::format("the agent '{}' is not installed: there is no {}; `perdure agents` lists all",
                                    agent.name, fmt::join(looked_for, " and no ")));
}

// Where the caller gave no environment, folder or deadline, those of the configuration are used.
StartOptions with_definition(const AgentOptions& options, const AgentDefinition& agent, const Task* last) {
  StartOptions start = options.start;
  for (const auto& [name, value] : agent.env) start.env.try_emplace(name, value);
  if (start.cwd.empty() && last != nullptr) start.cwd = last->origin.cwd.value_or("");
  if (start.cwd.empty()) start.cwd = agent.cwd.value_or("");
  std::error_code ignored;
  start.cwd = std::filesystem::absolute(start.cwd.empty() ? "." : start.cwd, ignored).lexically_normal().string();
  if (start.timeout.count() == 0 && !options.no_deadline) start.timeout = agent.timeout;
  start.leftovers = Leftovers::kill;
  return start;
}

codec::AgentPlan plan_turn(const AgentOptions& options, const AgentDefinition& agent, const StartOptions& start,
                           std::vector<std::string> command) {
  codec::AgentPlan plan;
  plan.agent = agent.name;
  plan.command = std::move(command);
  plan.cwd = start.cwd;
  plan.prompt = options.prompt.empty() ? kGoOn : options.prompt;
  plan.resume = options.resume;
  plan.mode = options.mode ? options.mode : agent.mode;
  plan.model = options.model ? options.model : agent.model;
  plan.auth = agent.auth;
  plan.owner = start.owner;
  plan.permission = options.permission.value_or(agent.permission);
  plan.permission_timeout = options.permission_timeout;
  plan.thoughts = options.thoughts;
  return plan;
}

// On another host no user can be asked for permission, and a conversation continues on the host where it began.
Result<> check_place(const AgentOptions& options, const Task* last) {
  const std::string here = last != nullptr && last->executor ? last->executor->name : "";
  const std::string& on = options.start.on;
  if (last != nullptr && here != on)
    return fail(
        ErrorCode::usage,
        here.empty()
            ? fmt::format("the conversation '{}' is one of this machine: leave out --on", options.resume.value_or(""))
            : fmt::format("the conversation '{}' is on {}: say --on {}", options.resume.value_or(""), here, here));
  const bool is_decided = options.permission && *options.permission != PermissionPolicy::ask;
  if (!on.empty() && !is_decided)
    return fail(ErrorCode::usage,
                fmt::format("--permission allow or deny is needed with --on {}: nobody can be asked there", on));
  return {};
}

StartOptions for_a_host(const AgentOptions& options) {
  StartOptions start = options.start;
  start.argv = {std::string(kDriver)};
  start.leftovers = Leftovers::kill;
  return start;
}

Work work_of_a_host(const AgentOptions& options, const Task* last) {
  Work work{.id_prefix = "agent-", .is_agent = true};
  work.prompt = options.prompt.empty() ? kGoOn : options.prompt;
  work.subagent_type = last != nullptr ? last->agent.type.value_or("") : options.agent;
  const auto add = [&](std::string_view option, std::string_view value) {
    work.words.push_back(fmt::format("{}={}", option, value));
  };
  if (!options.agent.empty()) add("--agent", options.agent);
  if (options.resume) {
    work.resumes = AgentId{*options.resume};
    add("--resume", *options.resume);
  }
  if (options.model) add("--model", *options.model);
  if (options.mode) add("--mode", *options.mode);
  add("--permission", options.permission == PermissionPolicy::allow ? "allow" : "deny");
  if (options.thoughts) work.words.emplace_back("--thoughts");
  if (options.no_deadline) add("--timeout", "0");
  return work;
}

}  // namespace

Result<Task> TaskManager::start(const AgentOptions& options) {
  if (auto fine = state_->act_and_revive(); !fine) return std::unexpected(fine.error());
  if (auto fine = check(options); !fine) return std::unexpected(fine.error());
  std::optional<Conversation> conversation;
  if (options.resume) {
    auto taken = take_up(*this, state_->session, options);
    if (!taken) return std::unexpected(taken.error());
    conversation = std::move(*taken);
  }
  const Task* const last = conversation ? &conversation->last : nullptr;
  if (auto fine = check_place(options, last); !fine) return std::unexpected(fine.error());
  const bool is_elsewhere = !options.start.on.empty();
  TRY(const ExecutorDefinition* executor,
      is_elsewhere ? state_->far->find(options.start.on) : Result<const ExecutorDefinition*>(nullptr));
  // Its definition, program and login are those of that host.
  if (executor != nullptr && executor->type == ExecutorDefinition::Type::ssh)
    return launch(for_a_host(options), work_of_a_host(options, last));
  auto agent = find_definition(state_->options, last != nullptr ? last->agent.type.value_or("") : options.agent);
  if (!agent) return std::unexpected(agent.error());
  StartOptions start = with_definition(options, *agent, last);
  auto command = choose_command(*agent, start);
  // What a node has is found out there.
  if (!command && is_elsewhere && !agent->commands.empty()) command = agent->commands.front();
  if (!command) return std::unexpected(command.error());
  auto driver = find_companion(kDriver);
  if (!driver) return std::unexpected(driver.error());
  start.argv = {*driver, "--session", is_elsewhere ? executor->folder : state_->session.path(), "acp-drive"};
  const auto plan = plan_turn(options, *agent, start, std::move(*command));
  Work work{.id_prefix = "agent-", .is_agent = true};
  work.prompt = plan.prompt;
  work.subagent_type = agent->name;
  if (options.resume) work.resumes = AgentId{*options.resume};
  work.plan = codec::encode_plan(plan);
  // The record is durable when this returns, so the next holder of the lock finds it.
  return launch(start, work);
}

}  // namespace perdure
