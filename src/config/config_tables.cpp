#include "config/config_tables.h"

#include "base/try.h"
#include "base/words.h"
#include "config/config_rules.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cctype>
#include <regex>

namespace perdure::manager {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr DurationRule kHookTime{.least = seconds(1), .most = seconds(600)};
constexpr DurationRule kAgentTime{.least = seconds(0), .most = seconds(86'400)};
constexpr WordRule<PermissionPolicy, 3> kPermission{
    {{{"allow", PermissionPolicy::allow}, {"deny", PermissionPolicy::deny}, {"ask", PermissionPolicy::ask}}}};
constexpr std::size_t kLongestName = 64;

std::vector<std::string_view> names_of(const auto& keys) {
  std::vector<std::string_view> names;
  for (const auto& key : keys) names.push_back(key.name);
  return names;
}

std::string at(const std::string& path, const TomlEntry& entry) {
  return fmt::format("{}:{}", path, entry.line);
}

Checked<void> check_matcher(const std::string& matcher) {
  try {
    static_cast<void>(std::regex(matcher));
    return {};
  } catch (const std::regex_error& error) {
    return std::unexpected(fmt::format("'{}' is not a valid regular expression: {}", matcher, error.what()));
  }
}

Checked<void> set_hook_key(const TomlEntry& entry, ConfiguredHook& hook) {
  const Given given{.value = entry.value};
  if (entry.key == "timeout") {
    TRY(const auto time, kHookTime.read(given));
    hook.timeout = std::chrono::duration_cast<seconds>(time);
    if (hook.timeout != time) return not_allowed(given, "whole seconds");
    return {};
  }
  TRY(auto text, read_text(given));
  if (entry.key == "matcher") {
    TRY_VOID(check_matcher(text));
    hook.matcher = std::move(text);
  } else {
    hook.command = std::move(text);
  }
  return {};
}

Checked<std::vector<std::string>> read_command(const Given& given) {
  const auto* const array = std::get_if<TomlArray>(&given.value.content);
  if (array == nullptr) {
    auto line = read_text(given);
    if (!line) return not_allowed(given, "a line of text, or an array: the program and its arguments");
    return std::vector<std::string>{"/bin/sh", "-c", std::move(*line)};
  }
  std::vector<std::string> words;
  for (const auto& item : *array) {
    const auto* const word = std::get_if<std::string>(&item.content);
    if (word == nullptr || word->contains('\0')) return not_allowed({.value = item}, "text");
    words.push_back(*word);
  }
  if (words.empty() || words.front().empty()) return std::unexpected("is empty: give a program to run");
  return words;
}

template <class T>
Checked<void> keep(Checked<T> value, auto& field) {
  if (!value) return std::unexpected(value.error());
  field = std::move(*value);
  return {};
}

Checked<void> read_variables(const std::string& path, const TomlEntry& entry, ConfiguredAgent& agent) {
  const auto* const table = std::get_if<TomlTable>(&entry.value.content);
  if (table == nullptr) return not_allowed({.value = entry.value}, "a table of names and texts");
  for (const auto& variable : *table) {
    const auto* const text = std::get_if<std::string>(&variable.value.content);
    if (variable.key.empty() || variable.key.contains('=') || variable.key.contains('\0') || text == nullptr ||
        text->contains('\0'))
      return std::unexpected(fmt::format("'{}' is not a variable with a string value", variable.key));
    agent.env[variable.key] = *text;
    agent.from["env." + variable.key] = at(path, variable);
  }
  return {};
}

Checked<void> set_agent_key(const std::string& path, const TomlEntry& entry, ConfiguredAgent& agent) {
  const Given given{.value = entry.value};
  if (entry.key == "env") return read_variables(path, entry, agent);
  agent.from[entry.key] = at(path, entry);
  if (entry.key == "command") return keep(read_command(given), agent.command);
  if (entry.key == "cwd") return keep(PathRule().read(given), agent.cwd);
  if (entry.key == "permission") return keep(kPermission.read(given), agent.permission);
  if (entry.key == "timeout") return keep(kAgentTime.read(given), agent.timeout);
  if (entry.key == "mode") return keep(read_text(given), agent.mode);
  if (entry.key == "model") return keep(read_text(given), agent.model);
  return keep(read_text(given), agent.auth);
}

constexpr WordRule<ExecutorDefinition::Type, 2> kExecutorType{
    {{{"ssh", ExecutorDefinition::Type::ssh}, {"slurm", ExecutorDefinition::Type::slurm}}}};
constexpr DurationRule kMargin{.least = seconds(0), .most = seconds(86'400)};
constexpr NumberRule kMostJobs{.least = 1, .most = 100'000};
constexpr std::size_t kLongestExecutorName = 32;

Checked<std::vector<std::string>> read_words(const Given& given) {
  const auto* const array = std::get_if<TomlArray>(&given.value.content);
  if (array == nullptr) return not_allowed(given, "an array of texts");
  std::vector<std::string> words;
  for (const auto& item : *array) {
    TRY(auto word, read_text({.value = item}));
    words.push_back(std::move(word));
  }
  return words;
}

Checked<void> set_executor_key(const std::string& path, const TomlEntry& entry, ExecutorDefinition& executor) {
  const Given given{.value = entry.value};
  executor.from[entry.key] = at(path, entry);
  if (entry.key == "type") return keep(kExecutorType.read(given), executor.type);
  if (entry.key == "transport") return keep(read_words(given), executor.transport);
  if (entry.key == "install") return keep(TruthRule().read(given), executor.install);
  if (entry.key == "options") return keep(read_words(given), executor.options);
  if (entry.key == "margin") return keep(kMargin.read(given), executor.margin);
  if (entry.key == "lost_after") return keep(kMargin.read(given), executor.lost_after);
  if (entry.key == "max_submitted") return keep(kMostJobs.read(given), executor.max_submitted);
  if (entry.key == "folder") return keep(PathRule().read(given), executor.folder);
  if (entry.key == "session") {
    auto folder = read_text(given);
    if (folder && !folder->starts_with('/') && !folder->starts_with("~/"))
      return not_allowed(given, "an absolute path, or one that begins with ~/");
    return keep(std::move(folder), executor.session);
  }
  if (entry.key == "host") {
    auto host = read_text(given);
    if (host && host->starts_with('-')) return not_allowed(given, "the name of a host");
    return keep(std::move(host), executor.host);
  }
  return keep(read_text(given), executor.on);
}

bool is_executor_name(std::string_view name) {
  return !name.empty() && name.size() <= kLongestExecutorName && std::ranges::all_of(name, [](unsigned char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
  });
}

bool is_agent_name(std::string_view name) {
  return !name.empty() && name.size() <= kLongestName && std::ranges::all_of(name, [](unsigned char c) {
    return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.';
  });
}

}  // namespace

std::unexpected<Error> unknown_key(const std::string& path, const TomlEntry& entry, std::string_view within,
                                   const std::vector<std::string_view>& known) {
  const std::string near = nearest_word(entry.key, known);
  return bad_config(path, entry.line, entry.key,
                    near.empty() ? fmt::format("is not known in {}: it takes {}", within, fmt::join(known, ", "))
                                 : fmt::format("is not known in {}: did you mean '{}'?", within, near));
}

Result<> read_hooks(const TomlEntry& entry, const std::string& path, Config& config) {
  const auto* const array = std::get_if<TomlArray>(&entry.value.content);
  if (array == nullptr) return bad_config(path, entry.line, "hooks", "write it as [[hooks]], once for each");
  const auto known = names_of(kHookKeys);
  for (const auto& item : *array) {
    const auto* const table = std::get_if<TomlTable>(&item.content);
    if (table == nullptr) return bad_config(path, item.line, "hooks", "write it as [[hooks]], once for each");
    ConfiguredHook hook{.matcher = {}, .command = {}, .from = fmt::format("{}:{}", path, item.line)};
    for (const auto& member : *table) {
      if (std::ranges::find(known, member.key) == known.end()) return unknown_key(path, member, "[[hooks]]", known);
      if (auto set = set_hook_key(member, hook); !set) return bad_config(path, member.line, member.key, set.error());
    }
    if (hook.command.empty()) return bad_config(path, item.line, "hooks", "has no command: say what is to be run");
    config.hooks.push_back(std::move(hook));
  }
  return {};
}

Result<> read_agents(const TomlEntry& entry, const std::string& path, Config& config) {
  const auto* const agents = std::get_if<TomlTable>(&entry.value.content);
  if (agents == nullptr) return bad_config(path, entry.line, "agents", "write it as [agents.NAME]");
  const auto known = names_of(kAgentKeys);
  for (const auto& one : *agents) {
    const auto* const table = std::get_if<TomlTable>(&one.value.content);
    if (table == nullptr) return bad_config(path, one.line, one.key, "is not a table: write it as [agents.NAME]");
    if (!is_agent_name(one.key))
      return bad_config(path, one.line, one.key, "is not a valid name: letters, digits, '-', '_' and '.', at most 64");
    ConfiguredAgent& agent = config.agents[one.key];
    const std::string within = fmt::format("[agents.{}]", one.key);
    for (const auto& member : *table) {
      if (std::ranges::find(known, member.key) == known.end()) return unknown_key(path, member, within, known);
      if (auto set = set_agent_key(path, member, agent); !set)
        return bad_config(path, member.line, member.key, set.error());
    }
  }
  return {};
}

Result<> read_executors(const TomlEntry& entry, const std::string& path, bool untrusted, Config& config) {
  const auto* const executors = std::get_if<TomlTable>(&entry.value.content);
  if (executors == nullptr) return bad_config(path, entry.line, "executors", "write it as [executors.NAME]");
  const auto known = names_of(kExecutorKeys);
  for (const auto& one : *executors) {
    const auto* const table = std::get_if<TomlTable>(&one.value.content);
    if (table == nullptr) return bad_config(path, one.line, one.key, "is not a table: write it as [executors.NAME]");
    if (!is_executor_name(one.key))
      return bad_config(path, one.line, one.key, "is not a valid name: small letters, digits and '-', at most 32");
    ExecutorDefinition& executor = config.executors[one.key];
    executor.name = one.key;
    if (untrusted) executor.untrusted = path;
    const std::string within = fmt::format("[executors.{}]", one.key);
    for (const auto& member : *table) {
      if (std::ranges::find(known, member.key) == known.end()) return unknown_key(path, member, within, known);
      if (auto set = set_executor_key(path, member, executor); !set)
        return bad_config(path, member.line, member.key, set.error());
    }
    if (!executor.from.contains("type"))
      return bad_config(path, one.line, one.key, "has no type: give type = \"ssh\" or \"slurm\"");
    if (executor.type == ExecutorDefinition::Type::ssh && executor.host.empty() == executor.transport.empty())
      return bad_config(path, one.line, one.key, "needs either a host or a transport");
    if (executor.type == ExecutorDefinition::Type::slurm && executor.folder.empty())
      return bad_config(path, one.line, one.key, "needs a folder that this host and the nodes share");
  }
  return {};
}

}  // namespace perdure::manager
