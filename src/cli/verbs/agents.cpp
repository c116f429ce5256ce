#include "acp/protocol/handshake.h"
#include "base/error.h"
#include "base/json_writer.h"
#include "cli/console/call.h"
#include "cli/console/print.h"
#include "cli/console/text.h"
#include "cli/verbs/verbs.h"
#include "manager/link/program.h"
#include <perdure/agent.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <thread>

namespace perdure::cli {
namespace {

// Coding agents take seconds of processor time to start; several at once take longer.
constexpr std::chrono::seconds kPatience{15}, kMorePatience{2};
constexpr std::size_t kAtOnce = 3;

constexpr Option kAgentsOptions[] = {
    {"--no-ask", nullptr, "do not start those that are installed to ask what they can do"},
};

// One agent and the results of its checks.
struct Found {
  AgentDefinition agent;
  std::optional<std::vector<std::string>> command;  // the command that would be run; absent: it is not installed
  std::string program;
  bool through_npx = false;
  std::optional<Result<acp::Capabilities>> answer;  // absent: it was not started
};

bool is_npx(const std::vector<std::string>& command) {
  return command.size() > 2 && command[0] == "npx" && command[1] == "-y";
}

Found look_for(const AgentDefinition& agent) {
  Found found{.agent = agent};
  StartOptions start;
  start.env = agent.env;
  const auto environment = manager::environment_for(start, "");
  const auto path = environment.find("PATH");
  std::error_code ignored;
  const std::string cwd = agent.cwd.value_or(std::filesystem::current_path(ignored).string());
  for (const auto& command : agent.commands) {
    const auto program =
        command.empty() ? Result<std::string>("")
                        : manager::find_program(command.front(), path == environment.end() ? "" : path->second, cwd);
    if (!program || program->empty() || !std::filesystem::exists(*program, ignored)) continue;
    found.command = command;
    found.program = *program;
    found.through_npx = is_npx(command);
    break;
  }
  return found;
}

// A check must not download anything: npx may run installed packages only.
void ask(Found& found, std::chrono::seconds patience) {
  if (!found.command) return;
  auto command = *found.command;
  if (found.through_npx) command[1] = "--no";
  std::error_code ignored;
  const std::string cwd = found.agent.cwd.value_or(std::filesystem::current_path(ignored).string());
  found.answer = acp::probe(command, found.agent.env, cwd, patience);
}

std::string installed_text(const Found& found) {
  if (!found.command) return "no";
  return found.through_npx ? "npx" : "yes";
}

std::string probe_text(const Found& found) {
  if (!found.answer) return "-";
  if (!*found.answer && found.through_npx) return "no: npx fetches it when it is first started";
  if (!*found.answer) {
    const std::string& why = found.answer->error().message;
    return (why.contains("did not answer within") ? "slow: " : "no: ") + why;
  }
  const auto& able = **found.answer;
  return harmless_line(able.name.empty() ? fmt::format("ACP {}", able.protocol)
                                         : fmt::format("{} {}, ACP {}", able.name, able.version, able.protocol));
}

std::string resumes_text(const Found& found) {
  if (!found.answer || !*found.answer) return "-";
  return (*found.answer)->resume ? "resume" : (*found.answer)->load ? "load" : "no";
}

std::string command_text(const Found& found) {
  const auto& commands = found.agent.commands;
  if (found.command) return manager::shell_quoted(*found.command);
  return commands.empty() ? "" : manager::shell_quoted(commands.front());
}

std::string json_of(const Found& found) {
  JsonObject json;
  json.add("name", found.agent.name)
      .add("installed", found.command.has_value())
      .add("throughNpx", found.through_npx)
      .add("program", found.command ? std::optional(found.program) : std::nullopt)
      .add("command", command_text(found));
  if (!found.answer) return json.add("answers", std::optional<bool>()).str();
  if (!*found.answer) return json.add("answers", false).add("error", found.answer->error().message).str();
  const auto& able = **found.answer;
  JsonArray methods;
  for (const auto& method : able.auth) methods.add(method.id);
  return json.add("answers", true)
      .add("protocolVersion", able.protocol)
      .add("agentName", able.name)
      .add("agentVersion", able.version)
      .add("resume", able.resume)
      .add("load", able.load)
      .add("authMethods", methods.json())
      .str();
}

void print_table(const std::vector<Found>& all) {
  Table table({"NAME", "INSTALLED", "RESUMES", "PERMISSION", "COMMAND", "ANSWERS"});
  for (const auto& found : all)
    table.add({found.agent.name, installed_text(found), resumes_text(found),
               std::string(name_of(found.agent.permission)), harmless_line(command_text(found)),
               harmless_line(probe_text(found))});
  std::string text;
  for (const auto& line : table.lines(terminal_columns())) text += line + "\n";
  put(text);
}

Result<int> run_agents(Call& call) {
  if (!call.arguments.empty())
    return fail(ErrorCode::usage, fmt::format("agents: '{}' is not expected here", call.arguments.front()));
  auto config = call.config();
  if (!config) return std::unexpected(config.error());
  std::vector<Found> all;
  for (const auto& [name, agent] : agent_definitions(**config)) all.push_back(look_for(agent));
  if (!call.has("--no-ask")) {
    // All at once would overload a small machine: slow ones would seem not to answer.
    const auto installed = static_cast<std::size_t>(
        std::ranges::count_if(all, [](const Found& found) { return found.command.has_value(); }));
    const auto patience = kPatience + kMorePatience * (installed - std::min(installed, kAtOnce));
    std::atomic<std::size_t> next = 0;
    std::vector<std::thread> asking;
    for (std::size_t i = 0; i < std::min(kAtOnce, all.size()); ++i)
      asking.emplace_back([&] {
        for (std::size_t mine = next++; mine < all.size(); mine = next++) ask(all[mine], patience);
      });
    for (auto& thread : asking) thread.join();
  }
  if (!call.json) {
    print_table(all);
    return 0;
  }
  std::string json;
  for (const auto& found : all) json += (json.empty() ? "" : ",") + json_of(found);
  put_line("[" + json + "]");
  return 0;
}

Result<int> names(Call& call) {
  auto config = call.config();
  if (!config) return std::unexpected(config.error());
  std::string text;
  for (const auto& [name, agent] : agent_definitions(**config)) text += name + "\n";
  put(text);
  return 0;
}

}  // namespace

const Verb kAgentNamesVerb{"__agents", "", "names of agents, for completion", {}, names, false, true};
const Verb kAgentsVerb{"agents", "", "the agents that are known, and whether they are there", kAgentsOptions,
                       run_agents};

}  // namespace perdure::cli
