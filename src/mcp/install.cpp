#include "mcp/install.h"

#include "mcp/json_edit.h"
#include "mcp/toml_edit.h"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace perdure::mcp {
namespace {

namespace json = boost::json;

constexpr std::string_view kServer = "perdure";
// WaitFor blocks up to ten minutes; some clients give up on a tool after one.
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

// The place of servers in a client's configuration.
std::string_view group_of(const Client& client) {
  if (client.name == "opencode") return "mcp";
  if (client.name == "vscode") return "servers";
  return "mcpServers";
}

json::object json_entry(const Client& client, const CommandLine& command) {
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
  // Without this the model sees nine names, and at most the first 150 characters of each description.
  if (client.name == "claude") entry["alwaysLoad"] = true;
  if (client.name == "qwen") entry["alwaysLoadTools"] = true;
  if (client.name == "copilot" || client.name == "gemini" || client.name == "qwen") entry["timeout"] = kToolTimeoutMs;
  if (client.name == "kimi") entry["toolTimeoutMs"] = kToolTimeoutMs;
  return entry;
}

// Two blanks a level, as the clients write these files.
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

std::string quoted(const std::string& text) {
  return json::serialize(json::string(text));
}

// A JSON string is also a basic string of TOML, except for DEL, which no path contains.
std::string toml_entry(const CommandLine& command, const Variables& variables) {
  const json::array arguments(command.begin() + 1, command.end());
  std::string text = fmt::format("[mcp_servers.{}]\ncommand = {}\nargs = {}\ntool_timeout_sec = {}\n", kServer,
                                 quoted(command.front()), json::serialize(arguments), kToolTimeoutMs / 1000);
  std::string pairs;
  for (const auto& [name, value] : variables)
    pairs += fmt::format("{}{} = {}", pairs.empty() ? "" : ", ", name, quoted(value));
  return pairs.empty() ? text : text + fmt::format("env = {{ {} }}\n", pairs);
}

}  // namespace

std::span<const Client> all_clients() {
  return kClients;
}

const Client* find_client(std::string_view name) {
  const auto found = std::ranges::find(kClients, name, &Client::name);
  return found == kClients.end() ? nullptr : &*found;
}

std::string server_entry(const Client& client, const CommandLine& command, const Variables& variables) {
  if (client.is_toml) return toml_entry(command, variables);
  json::object entry = json_entry(client, command);
  if (!variables.empty()) {
    json::object all;
    for (const auto& [name, value] : variables) all[name] = value;
    entry[client.name == "opencode" ? "environment" : "env"] = std::move(all);
  }
  return json::serialize(entry);
}

JsonPath server_path(const Client& client) {
  return {client.is_toml ? "mcp_servers" : std::string(group_of(client)), std::string(kServer)};
}

std::string configuration(const Client& client, const CommandLine& command) {
  if (client.is_toml) return toml_entry(command, {});
  return printed(json::object{{group_of(client), json::object{{kServer, json_entry(client, command)}}}});
}

Result<std::string> merged(const Client& client, std::string_view file, const CommandLine& command) {
  const JsonPath path = server_path(client);
  const std::string entry = server_entry(client, command, {});
  const auto splice =
      client.is_toml ? set_toml_table(file, path.front(), path.back(), entry) : set_json_member(file, path, entry);
  if (!splice) return std::unexpected(splice.error());
  return *splice ? spliced(file, **splice) : std::string(file);
}

}  // namespace perdure::mcp
