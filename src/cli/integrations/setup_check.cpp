#include "cli/integrations/setup_check.h"

#include "acp/protocol/process.h"
#include "base/clock.h"
#include "base/files.h"
#include "config/toml.h"

#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <boost/json.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace perdure::cli {
namespace {

namespace json = boost::json;

constexpr std::int64_t kPatienceMs = 20'000;  // a cold disk or a busy machine; measured: 25 to 125 ms
constexpr std::size_t kLongestAnswer = 4 << 20;
// The variables that Codex passes on to a server, in addition to those of the entry.
constexpr std::array<const char*, 9> kHandedOn = {"HOME", "PATH",   "USER", "LOGNAME", "SHELL",
                                                  "TERM", "TMPDIR", "LANG", "TZ"};

struct Entry {
  std::vector<std::string> command;
  std::map<std::string, std::string> variables;
};

std::unexpected<Error> no_entry(std::string_view what) {
  return fail(ErrorCode::config_invalid, fmt::format("the entry has no valid {}", what));
}

const manager::TomlValue* member(const manager::TomlTable& table, std::string_view key) {
  const auto found = std::ranges::find(table, key, &manager::TomlEntry::key);
  return found == table.end() ? nullptr : &found->value;
}

Result<Entry> toml_server(std::string_view text, const mcp::JsonPath& path) {
  auto all = manager::parse_toml(text, "the file");
  if (!all) return std::unexpected(all.error());
  const manager::TomlTable* table = &*all;
  for (const auto& key : path) {
    const auto* const value = member(*table, key);
    table = value == nullptr ? nullptr : std::get_if<manager::TomlTable>(&value->content);
    if (table == nullptr) return no_entry(fmt::format("[{}]", fmt::join(path, ".")));
  }
  const auto text_of = [](const manager::TomlValue* value) {
    return value == nullptr ? nullptr : std::get_if<std::string>(&value->content);
  };
  Entry entry;
  const auto* const program = text_of(member(*table, "command"));
  const auto* const arguments = member(*table, "args");
  if (program == nullptr) return no_entry("command");
  entry.command.push_back(*program);
  if (arguments != nullptr)
    if (const auto* const words = std::get_if<manager::TomlArray>(&arguments->content))
      for (const auto& word : *words)
        if (const auto* const one = text_of(&word)) entry.command.push_back(*one);
  if (const auto* const variables = member(*table, "env"))
    if (const auto* const pairs = std::get_if<manager::TomlTable>(&variables->content))
      for (const auto& pair : *pairs)
        if (const auto* const value = text_of(&pair.value)) entry.variables[pair.key] = *value;
  return entry;
}

Result<Entry> json_server(std::string_view text, const mcp::JsonPath& path) {
  auto value = mcp::json_value_at(text, path);
  if (!value) return std::unexpected(value.error());
  boost::system::error_code error;
  const json::value entry = *value ? json::parse(**value, error) : json::value();
  if (error || !entry.is_object()) return no_entry(fmt::format("'{}'", fmt::join(path, ".")));
  Entry found;
  for (const std::string_view key : {"command", "args"}) {
    const auto* const part = entry.get_object().if_contains(key);
    if (part != nullptr && part->is_string()) found.command.emplace_back(part->get_string());
    if (part != nullptr && part->is_array())
      for (const auto& word : part->get_array())
        if (word.is_string()) found.command.emplace_back(word.get_string());
  }
  if (found.command.empty()) return no_entry("command");
  for (const std::string_view key : {"env", "environment"})
    if (const auto* const all = entry.get_object().if_contains(key); all != nullptr && all->is_object())
      for (const auto& pair : all->get_object())
        if (pair.value().is_string()) found.variables[pair.key()] = std::string(pair.value().get_string());
  return found;
}

// One server under test: sends requests and waits for the answer with the same id.
class Handshake {
 public:
  Handshake(acp::AgentProcess& process, std::int64_t until_ms) : process_(process), until_ms_(until_ms) {}

  Result<> send(const json::object& message) {
    return write_all(process_.input(), json::serialize(message) + "\n", "the server's input");
  }

  Result<json::object> answer(std::int64_t id) {
    while (true) {
      auto line = read_line();
      if (!line) return std::unexpected(line.error());
      boost::system::error_code error;
      const json::value value = json::parse(*line, error);
      if (error || !value.is_object())
        return fail(ErrorCode::task_launch_failed, "the server printed something that is not MCP");
      const auto& message = value.get_object();
      const auto* const got = message.if_contains("id");
      if (got == nullptr || !got->is_int64() || got->get_int64() != id) continue;
      const auto* const result = message.if_contains("result");
      if (result == nullptr || !result->is_object())
        return fail(ErrorCode::task_launch_failed, "the server answered with an error: " + *line);
      return result->get_object();
    }
  }

 private:
  Result<std::string> read_line() {
    while (true) {
      if (const auto end = buffer_.find('\n'); end != std::string::npos) {
        std::string line = buffer_.substr(0, end);
        buffer_.erase(0, end + 1);
        return line;
      }
      const std::int64_t left = until_ms_ - now_ms();
      pollfd ready{.fd = process_.output(), .events = POLLIN, .revents = 0};
      if (left <= 0 || ::poll(&ready, 1, static_cast<int>(left)) == 0)
        return fail(ErrorCode::task_launch_failed,
                    fmt::format("the server did not answer within {} s", kPatienceMs / 1000));
      char part[65536];
      const ssize_t n = ::read(process_.output(), part, sizeof part);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0 || buffer_.size() > kLongestAnswer) return fail(ErrorCode::task_launch_failed, how_it_ended());
      buffer_.append(part, static_cast<std::size_t>(n));
    }
  }

  // Adds the first line that it printed for people: it usually contains the reason.
  std::string how_it_ended() {
    constexpr int kMomentMs = 1'000;
    std::string text = "the server ended before it answered";
    if (const std::string how = process_.how_it_ended(kMomentMs); !how.empty()) text += ", " + how;
    pollfd ready{.fd = process_.errors(), .events = POLLIN, .revents = 0};
    char part[1024];
    if (::poll(&ready, 1, 0) > 0)
      if (const ssize_t n = ::read(process_.errors(), part, sizeof part); n > 0) {
        const std::string_view said(part, static_cast<std::size_t>(n));
        text += ": " + std::string(said.substr(0, said.find('\n')));
      }
    return text;
  }

  acp::AgentProcess& process_;
  std::int64_t until_ms_;
  std::string buffer_;
};

// A server that exits early closes its end of the pipe.
class WithoutSigpipe {
 public:
  WithoutSigpipe() : before_(::signal(SIGPIPE, SIG_IGN)) {}
  ~WithoutSigpipe() { ::signal(SIGPIPE, before_); }
  WithoutSigpipe(const WithoutSigpipe&) = delete;
  WithoutSigpipe& operator=(const WithoutSigpipe&) = delete;

 private:
  sighandler_t before_;
};

// Runs the command by `env -i`, for an agent that passes on a few variables only.
std::vector<std::string> with_few_variables(const Entry& entry) {
  std::vector<std::string> command{"env", "-i"};
  for (const char* name : kHandedOn)
    if (const auto value = environment(name)) command.push_back(fmt::format("{}={}", name, *value));
  for (const auto& [name, value] : entry.variables) command.push_back(fmt::format("{}={}", name, value));
  command.insert(command.end(), entry.command.begin(), entry.command.end());
  return command;
}

}  // namespace

Result<ServerCheck> check_server(const SetupAgent& agent, std::string_view text) {
  const mcp::Client& client = *mcp::find_client(agent.name);
  auto entry =
      client.is_toml ? toml_server(text, mcp::server_path(client)) : json_server(text, mcp::server_path(client));
  if (!entry) return std::unexpected(entry.error());
  const WithoutSigpipe without_sigpipe;
  const std::int64_t start = now_ms();
  auto process = agent.filters_environment ? acp::AgentProcess::spawn(with_few_variables(*entry), {}, ".")
                                           : acp::AgentProcess::spawn(entry->command, entry->variables, ".");
  if (!process) return std::unexpected(process.error());
  Handshake handshake(*process, start + kPatienceMs);
  const json::object hello{
      {"jsonrpc", "2.0"},
      {"id", 1},
      {"method", "initialize"},
      {"params",
       json::object{{"protocolVersion", "2025-06-18"},
                    {"capabilities", json::object()},
                    {"clientInfo", json::object{{"name", agent.calls_itself}, {"version", PERDURE_VERSION}}}}}};
  // A failed write means that it has exited: the answer says how.
  static_cast<void>(handshake.send(hello));
  auto answer = handshake.answer(1);
  if (!answer) return std::unexpected(answer.error());
  static_cast<void>(handshake.send({{"jsonrpc", "2.0"}, {"method", "notifications/initialized"}}));
  static_cast<void>(handshake.send({{"jsonrpc", "2.0"}, {"id", 2}, {"method", "tools/list"}}));
  auto tools = handshake.answer(2);
  if (!tools) return std::unexpected(tools.error());
  ServerCheck check{.server = {}, .tools = 0, .took_ms = now_ms() - start};
  if (const auto* const all = tools->if_contains("tools"); all != nullptr && all->is_array())
    check.tools = all->get_array().size();
  const auto* const info = answer->if_contains("serverInfo");
  if (info != nullptr && info->is_object())
    for (const std::string_view key : {"name", "version"})
      if (const auto* const part = info->get_object().if_contains(key); part != nullptr && part->is_string())
        check.server += (check.server.empty() ? "" : " ") + std::string(part->get_string());
  process->end();
  if (check.tools == 0) return fail(ErrorCode::task_launch_failed, "the server has no tools");
  return check;
}

}  // namespace perdure::cli
