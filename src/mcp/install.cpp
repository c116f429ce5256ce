#include "mcp/install.h"

#include "base/error.h"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace perdure::mcp {
namespace {

namespace json = boost::json;

constexpr std::string_view kServer = "perdure";
// WaitFor blocks for ten minutes at most; some clients give up on a tool after one.
constexpr std::int64_t kToolTimeoutMs = 660'000;

constexpr std::array<Client, 9> kClients = {{
    {.name = "claude", .title = "Claude Code", .file = ".mcp.json"},
    {.name = "codex",
     .title = "Codex",
     .file = "~/.codex/config.toml",
     .folder_variable = "CODEX_HOME",
     .file_in_folder = "config.toml",
     .is_toml = true},
    {.name = "copilot",
     .title = "Copilot CLI",
     .file = "~/.copilot/mcp-config.json",
     .folder_variable = "COPILOT_HOME",
     .file_in_folder = "mcp-config.json"},
    {.name = "cursor", .title = "Cursor", .file = ".cursor/mcp.json"},
    {.name = "gemini", .title = "Gemini CLI", .file = "~/.gemini/settings.json"},
    {.name = "kimi",
     .title = "Kimi Code",
     .file = "~/.kimi-code/mcp.json",
     .folder_variable = "KIMI_CODE_HOME",
     .file_in_folder = "mcp.json"},
    {.name = "opencode",
     .title = "opencode",
     .file = "~/.config/opencode/opencode.json",
     .folder_variable = "XDG_CONFIG_HOME",
     .file_in_folder = "opencode/opencode.json"},
    {.name = "qwen", .title = "Qwen Code", .file = "~/.qwen/settings.json"},
    {.name = "vscode", .title = "Visual Studio Code", .file = ".vscode/mcp.json"},
}};

// Where in its configuration a client looks for servers.
std::string_view group_of(const Client& client) {
  if (client.name == "opencode") return "mcp";
  if (client.name == "vscode") return "servers";
  return "mcpServers";
}

json::object entry_for(const Client& client, const CommandLine& command) {
  const json::array arguments(command.begin() + 1, command.end());
  if (client.name == "opencode")
    return {{"type", "local"},
            {"command", json::array(command.begin(), command.end())},
            {"enabled", true},
            {"timeout", kToolTimeoutMs}};
  json::object entry{{"command", command.front()}, {"args", arguments}};
  if (client.name == "claude" || client.name == "vscode") entry["type"] = "stdio";
  if (client.name == "copilot") {
    entry["type"] = "local";
    entry["tools"] = json::array{"*"};
  }
  if (client.name == "claude") entry["alwaysLoad"] = true;  // else its model sees nine bare names
  if (client.name == "gemini" || client.name == "qwen") entry["timeout"] = kToolTimeoutMs;
  if (client.name == "kimi") entry["toolTimeoutMs"] = kToolTimeoutMs;
  return entry;
}

// Two blanks a level, as those who write these files do.
void print(const json::value& value, std::string& text, std::size_t level) {
  const std::string indent(2 * level + 2, ' ');
  const auto close = [&](char bracket) {
    text += "\n" + std::string(2 * level, ' ');
    text += bracket;
  };
  if (const auto* const object = value.if_object(); object != nullptr && !object->empty()) {
    text += "{";
    for (const auto& member : *object) {
      text += (text.back() == '{' ? "\n" : ",\n") + indent + json::serialize(json::string(member.key())) + ": ";
      print(member.value(), text, level + 1);
    }
    close('}');
  } else if (const auto* const array = value.if_array(); array != nullptr && !array->empty()) {
    text += "[";
    for (const auto& item : *array) {
      text += (text.back() == '[' ? "\n" : ",\n") + indent;
      print(item, text, level + 1);
    }
    close(']');
  } else {
    text += json::serialize(value);
  }
}

std::string printed(const json::value& value) {
  std::string text;
  print(value, text, 0);
  return text + "\n";
}

// A JSON string is a basic string of TOML, too, but for DEL, which no path has.
std::string toml_section(const CommandLine& command) {
  const json::array arguments(command.begin() + 1, command.end());
  return fmt::format("[mcp_servers.{}]\ncommand = {}\nargs = {}\ntool_timeout_sec = {}\n", kServer,
                     json::serialize(json::string(command.front())), json::serialize(arguments), kToolTimeoutMs / 1000);
}

Result<std::string> merged_toml(std::string_view file, const CommandLine& command) {
  const std::string head = fmt::format("[mcp_servers.{}]", kServer);
  std::string before, after;
  enum class Part { above, ours, below } part = Part::above;
  for (std::size_t start = 0; start < file.size();) {
    const std::size_t end = std::min(file.find('\n', start), file.size() - 1);
    const std::string_view line = file.substr(start, end - start + 1);
    start = end + 1;
    const std::string_view word = line.substr(0, line.find_last_not_of(" \t\r\n") + 1);
    if (part == Part::ours && word.starts_with('[')) part = Part::below;
    if (word == head) part = Part::ours;
    if (part != Part::ours) (part == Part::above ? before : after) += line;
  }
  if (!before.empty() && !before.ends_with('\n')) before += '\n';
  if (!before.empty() && !before.ends_with("\n\n")) before += '\n';
  return before + toml_section(command) + (after.empty() ? "" : "\n" + after);
}

}  // namespace

std::span<const Client> all_clients() {
  return kClients;
}

const Client* find_client(std::string_view name) {
  const auto found = std::ranges::find(kClients, name, &Client::name);
  return found == kClients.end() ? nullptr : &*found;
}

std::string configuration(const Client& client, const CommandLine& command) {
  if (client.is_toml) return toml_section(command);
  return printed(json::object{{group_of(client), json::object{{kServer, entry_for(client, command)}}}});
}

Result<std::string> merged(const Client& client, std::string_view file, const CommandLine& command) {
  if (file.find_first_not_of(" \t\r\n") == std::string_view::npos) return configuration(client, command);
  if (client.is_toml) return merged_toml(file, command);
  boost::system::error_code error;
  json::value all = json::parse(file, error);
  if (error || !all.is_object())
    return fail(ErrorCode::config_invalid,
                fmt::format("{}: add it by hand, comments would be lost", error ? error.message() : "it is no object"));
  auto& group = all.get_object()[group_of(client)];
  if (group.is_null()) group = json::object();
  if (!group.is_object()) return fail(ErrorCode::config_invalid, fmt::format("{} is no object", group_of(client)));
  group.get_object()[kServer] = entry_for(client, command);
  return printed(all);
}

}  // namespace perdure::mcp
