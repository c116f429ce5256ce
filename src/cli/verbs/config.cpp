#include "base/error.h"
#include "base/json_writer.h"
#include "cli/console/call.h"
#include "cli/console/print.h"
#include "cli/console/text.h"
#include "cli/console/variables.h"
#include "cli/verbs/verbs.h"
#include "config/config_keys.h"
#include "manager/link/program.h"

#include <fmt/format.h>

#ifndef PERDURE_VERSION
#error "PERDURE_VERSION is set by the build"
#endif

namespace perdure::cli {
namespace {

using manager::Shown;

struct Row {
  std::string name;
  Shown value;
  std::string from;
  bool used_here = true;
};

Shown text(std::string value) {
  return {.text = std::move(value), .json = {}};
}

void add_hooks(const Config& config, std::vector<Row>& rows) {
  for (std::size_t i = 0; i < config.hooks.size(); ++i) {
    const ConfiguredHook& hook = config.hooks[i];
    const std::string name = fmt::format("hooks.{}", i + 1);
    rows.push_back({name + ".matcher", text(hook.matcher), hook.from});
    rows.push_back({name + ".command", text(hook.command), hook.from});
    rows.push_back({name + ".timeout", text(exact_duration(hook.timeout)), hook.from});
  }
}

std::string_view word_of(PermissionPolicy policy) {
  switch (policy) {
    case PermissionPolicy::allow: return "allow";
    case PermissionPolicy::deny: return "deny";
    case PermissionPolicy::ask: return "ask";
  }
  return "";
}

void add_agent(const std::string& name, const ConfiguredAgent& agent, std::vector<Row>& rows) {
  const auto add = [&](const std::string& key, std::string value) {
    const auto from = agent.from.find(key);
    if (from != agent.from.end()) rows.push_back({fmt::format("agents.{}.{}", name, key), text(value), from->second});
  };
  add("command", manager::shell_quoted(agent.command));
  // Such variables contain keys and tokens: their values must not appear on the screen.
  for (const auto& [variable, value] : agent.env) add("env." + variable, "(set)");
  add("cwd", agent.cwd.value_or(""));
  add("mode", agent.mode.value_or(""));
  add("model", agent.model.value_or(""));
  if (agent.permission) add("permission", std::string(word_of(*agent.permission)));
  if (agent.timeout) add("timeout", exact_duration(*agent.timeout));
  add("auth", agent.auth.value_or(""));
}

void add_executor(const std::string& name, const ExecutorDefinition& executor, std::vector<Row>& rows) {
  const auto add = [&](const std::string& key, const std::string& value) {
    const auto from = executor.from.find(key);
    if (from != executor.from.end())
      rows.push_back({fmt::format("executors.{}.{}", name, key), text(value), from->second});
  };
  add("type", std::string(name_of(executor.type)));
  add("host", executor.host);
  add("transport", manager::shell_quoted(executor.transport));
  add("session", executor.session);
  add("install", executor.install ? "true" : "false");
  add("on", executor.on);
  add("folder", executor.folder);
  add("options", manager::shell_quoted(executor.options));
  add("margin", exact_duration(executor.margin));
  add("lost_after", exact_duration(executor.lost_after));
  add("max_submitted", fmt::to_string(executor.max_submitted));
}

Result<std::vector<Row>> settings(Call& call) {
  std::vector<Row> rows;
  std::string source;
  auto session = call.session_path(&source);
  if (!session) return std::unexpected(session.error());
  auto config = call.config();
  if (!config) return std::unexpected(config.error());
  rows.push_back({"session", text(*session), source});
  if (auto runner = manager::find_runner(""))
    rows.push_back({"runner", text(*runner), environment("PERDURE_RUNNER_PATH") ? "PERDURE_RUNNER_PATH" : "found"});
  else
    rows.push_back({"runner", text(""), runner.error().message});
  for (const auto& key : manager::config_keys())
    rows.push_back({name_of(key), key.shown(**config), key.from(**config), key.used_here});
  add_hooks(**config, rows);
  for (const auto& [name, agent] : (*config)->agents) add_agent(name, agent, rows);
  for (const auto& [name, executor] : (*config)->executors) add_executor(name, executor, rows);
  return rows;
}

Result<int> trust(Call& call) {
  auto session = call.session_path();
  if (!session) return std::unexpected(session.error());
  auto parts = trust_config(*session);
  if (!parts) return std::unexpected(parts.error());
  if (call.json) {
    JsonArray trusted;
    for (const auto& part : *parts) trusted.add(JsonObject().add("name", part.name).add("from", part.from).json());
    put_line(JsonObject().add("trusted", trusted.json()).str());
    return 0;
  }
  if (parts->empty()) put_line("trusted; nothing in it runs a program");
  for (const auto& part : *parts) put_line(harmless_line(fmt::format("trusted: {} ({})", part.name, part.from)));
  return 0;
}

Result<int> config(Call& call) {
  if (!call.arguments.empty()) {
    if (call.arguments.size() == 1 && call.arguments.front() == "trust") return trust(call);
    return fail(ErrorCode::usage, fmt::format("config: expected nothing or 'trust', got '{}'", call.arguments.back()));
  }
  auto rows = settings(call);
  if (!rows) return std::unexpected(rows.error());
  if (call.json) {
    JsonObject json;
    for (const auto& row : *rows) {
      const RawJson value{row.value.json.empty() ? json_quoted(row.value.text) : row.value.json};
      json.add(row.name, JsonObject().add("value", value).add("source", row.from).add("used", row.used_here).json());
    }
    put_line(json.str());
    return 0;
  }
  Table table({"SETTING", "VALUE", "FROM"});
  for (const auto& row : *rows)
    table.add({harmless_line(row.name), harmless_line(row.value.text),
               harmless_line(row.from) + (row.used_here ? "" : " (for agents; not used here)")});
  for (const auto& line : table.lines(0)) put_line(line);
  for (const auto& text : misspelt_variables()) note("perdure: " + text);
  return 0;
}

}  // namespace

const Verb kConfigVerb{"config",
                       "[trust]",
                       "the settings in force, and where each comes from; or trust the session's perdure.toml",
                       {},
                       config};

}  // namespace perdure::cli
