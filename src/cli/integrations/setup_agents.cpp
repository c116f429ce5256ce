#include "cli/integrations/setup_agents.h"

#include "base/error.h"
#include "cli/integrations/mcp_install.h"
#include "cli/integrations/setup_file.h"
#include "manager/link/program.h"

#include <sys/stat.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <climits>

namespace perdure::cli {
namespace {

namespace json = boost::json;

const std::array<SetupAgent, 9> kAgents = {{
    {"claude", "Claude Code", "claude-code", {"claude"}, {".claude", ".claude.json"}, "claude-code"},
    {"codex", "Codex", "", {"codex"}, {".codex"}, "codex-mcp-client", true},
    {"gemini", "Gemini CLI", "gemini-cli", {"gemini"}, {".gemini"}, "gemini-cli-mcp-client"},
    {"qwen", "Qwen Code", "qwen-code", {"qwen"}, {".qwen"}, "qwen-cli-mcp-client-perdure"},
    {"opencode", "opencode", "", {"opencode"}, {".config/opencode"}, "opencode"},
    {"kimi", "Kimi Code", "kimi-code", {"kimi"}, {".kimi-code"}, "kimi-code"},
    {"copilot", "GitHub Copilot CLI", "", {"copilot"}, {".copilot"}, "github-copilot-developer"},
    {"vscode", "Visual Studio Code", "code", {"code"}, {".config/Code"}, "Visual Studio Code"},
    {"cursor", "Cursor", "", {"cursor", "cursor-agent"}, {".cursor"}, "cursor-vscode"},
}};

Result<std::string> home() {
  if (auto folder = environment("HOME")) return *folder;
  return fail(ErrorCode::usage, "HOME is not set");
}

// The folder that another variable or $HOME names.
Result<std::string> folder_or(const char* variable, std::string_view below_home) {
  if (auto folder = environment(variable)) return *folder;
  auto folder = home();
  if (!folder) return folder;
  return fmt::format("{}/{}", *folder, below_home);
}

// For all projects: `perdure mcp install` writes a project's file for Claude Code, Cursor and Visual Studio Code.
Result<std::string> user_file(const SetupAgent& agent, const mcp::Client& client) {
  if (agent.name == "claude") {
    auto folder = environment("CLAUDE_CONFIG_DIR") ? folder_or("CLAUDE_CONFIG_DIR", "") : home();
    if (!folder) return folder;
    return *folder + "/.claude.json";
  }
  if (agent.name == "vscode") {
    auto folder = folder_or("XDG_CONFIG_HOME", ".config");
    if (!folder) return folder;
    return *folder + "/Code/User/mcp.json";
  }
  if (agent.name == "cursor") {
    auto folder = home();
    if (!folder) return folder;
    return *folder + "/.cursor/mcp.json";
  }
  auto file = client_file(client);
  if (file && agent.name == "opencode" && ::access(file->c_str(), F_OK) != 0 &&
      ::access((*file + "c").c_str(), F_OK) == 0)
    *file += "c";  // opencode.jsonc
  return file;
}

struct HookLine {
  std::string_view event, verb;
  bool is_rewake;
};
constexpr std::array<HookLine, 4> kHookLines = {{{"Stop", "rewake", true},
                                                 {"UserPromptSubmit", "prompt", false},
                                                 {"SessionStart", "session-start", false},
                                                 {"PreCompact", "precompact", false}}};
// Read-only tools: the model may always list and read its own tasks. Tools that run commands keep asking.
constexpr std::array<std::string_view, 3> kReadOnlyTools = {"mcp__perdure__TaskList", "mcp__perdure__TaskOutput",
                                                            "mcp__perdure__WaitFor"};
// The waiter exits by itself when no task runs; without this setting the client would kill it after ten minutes.
constexpr int kRewakeSeconds = 86'400;

bool has_hook(std::string_view text, const HookLine& line) {
  const auto groups = mcp::json_value_at(text, {"hooks", std::string(line.event)});
  const std::string wanted = fmt::format(" hook claude-code {}", line.verb);
  return groups && *groups && (*groups)->find(wanted) != std::string::npos;
}

// Hooks and permissions. An entry that a user has added by hand is left unchanged.
Result<FilePlan> claude_settings(const std::string& program, const SetupOptions& options, SetupRecord record,
                                 std::vector<std::string>& notes) {
  auto folder = folder_or("CLAUDE_CONFIG_DIR", ".claude");
  if (!folder) return std::unexpected(folder.error());
  FilePlan plan{.path = *folder + "/settings.json", .edits = {}};
  std::string text;
  // Malformed or unreadable: reported when the edits are made.
  if (auto file = read_config_file(plan.path)) text = file->text;
  if (auto* const recorded = record.find(plan.path))
    if (auto undone = undo_edits(text, recorded->steps)) text = *undone;
  std::string command = manager::shell_quoted({program});
  if (options.session) command += " --session " + manager::shell_quoted({*options.session});
  for (const auto& line : kHookLines) {
    if (has_hook(text, line)) {
      notes.push_back(fmt::format("{}: a hook for {} is there already; left as it is", plan.path, line.event));
      continue;
    }
    json::object hook{{"type", "command"}, {"command", fmt::format("{} hook claude-code {}", command, line.verb)}};
    if (options.owner)
      hook["command"] =
          fmt::format("{} hook claude-code {} --owner {}", command, line.verb, manager::shell_quoted({*options.owner}));
    if (line.is_rewake) {
      hook["asyncRewake"] = true;
      hook["timeout"] = kRewakeSeconds;
    }
    plan.edits.push_back({Edit::Kind::item,
                          {"hooks", std::string(line.event)},
                          json::serialize(json::object{{"hooks", json::array{std::move(hook)}}})});
  }
  for (const auto tool : kReadOnlyTools)
    plan.edits.push_back({Edit::Kind::item, {"permissions", "allow"}, json::serialize(json::string(tool))});
  return plan;
}

}  // namespace

std::span<const SetupAgent> setup_agents() {
  return kAgents;
}

const SetupAgent* find_setup_agent(std::string_view name) {
  const auto found = std::ranges::find_if(kAgents, [&](const SetupAgent& agent) {
    return agent.name == name || (!agent.alias.empty() && agent.alias == name);
  });
  return found == kAgents.end() ? nullptr : &*found;
}

std::optional<std::string> trace_of(const SetupAgent& agent) {
  for (const auto program : agent.programs)
    if (auto found = manager::find_program(std::string(program), environment("PATH").value_or(""), "/")) return *found;
  std::vector<std::string> places;
  const auto* const client = mcp::find_client(agent.name);
  if (!client->folder_variable.empty() && agent.name != "opencode")
    if (auto folder = environment(std::string(client->folder_variable).c_str())) places.push_back(*folder);
  if (auto folder = environment("CLAUDE_CONFIG_DIR"); folder && agent.name == "claude") places.push_back(*folder);
  if (auto file = user_file(agent, *client)) places.push_back(*file);
  if (auto folder = home())
    for (const auto trace : agent.traces) places.push_back(fmt::format("{}/{}", *folder, trace));
  for (const auto& place : places)
    if (::access(place.c_str(), F_OK) == 0) return place;
  return std::nullopt;
}

Result<std::string> stable_program() {
  char self[PATH_MAX];
  const ssize_t length = ::readlink("/proc/self/exe", self, sizeof self);
  if (length <= 0) return fail_errno("reading", "/proc/self/exe");
  std::string program(self, static_cast<std::size_t>(length));
  // A link in PATH stays valid when the program behind it is replaced by a newer one.
  if (auto found = manager::find_program("perdure", environment("PATH").value_or(""), "/");
      found && is_in_path(program))
    return *found;
  return program;
}

bool is_in_path(const std::string& program) {
  const auto found = manager::find_program("perdure", environment("PATH").value_or(""), "/");
  struct stat one{};
  struct stat other{};
  return found && ::stat(found->c_str(), &one) == 0 && ::stat(program.c_str(), &other) == 0 &&
         one.st_dev == other.st_dev && one.st_ino == other.st_ino;
}

Result<std::vector<FilePlan>> plan_for(const SetupAgent& agent, SetupOptions options, const SetupRecord& record,
                                       std::vector<std::string>& notes) {
  const mcp::Client& client = *mcp::find_client(agent.name);
  auto program = stable_program();
  if (!program) return std::unexpected(program.error());
  auto path = user_file(agent, client);
  if (!path) return std::unexpected(path.error());
  mcp::Variables variables;
  if (agent.filters_environment) {
    // This agent would start the server without them, in the default session, where its tasks would not be found.
    if (!options.session) {
      options.session = environment("PERDURE_SESSION");
      if (options.session)
        notes.push_back(fmt::format("{} does not hand PERDURE_SESSION on: the entry names the session {}", agent.title,
                                    *options.session));
    }
    for (const char* name : {"XDG_CONFIG_HOME", "XDG_STATE_HOME"})
      if (auto value = environment(name)) variables[name] = *value;
  }
  mcp::CommandLine command{*program, "mcp"};
  if (options.session) command.insert(command.end(), {"--session", *options.session});
  if (options.owner) command.insert(command.end(), {"--owner", *options.owner});
  FilePlan server{.path = *path, .is_toml = client.is_toml, .has_server = true, .edits = {}};
  server.edits.push_back({client.is_toml ? Edit::Kind::table : Edit::Kind::member, mcp::server_path(client),
                          mcp::server_entry(client, command, variables)});
  std::vector<FilePlan> plans{std::move(server)};
  if (agent.name == "claude") {
    auto settings = claude_settings(*program, options, record, notes);
    if (!settings) return std::unexpected(settings.error());
    plans.push_back(std::move(*settings));
  }
  return plans;
}

}  // namespace perdure::cli
