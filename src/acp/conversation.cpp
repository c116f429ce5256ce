#include "acp/protocol/fields.h"
#include "acp/turn.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <filesystem>
#include <vector>

// Opens the conversation of a turn, and sets its options as the plan says.
namespace perdure::acp {
namespace {

// Perdure's own MCP server, so that commands that the agent runs in the background are tasks, owned by its agentId.
json::array our_server(const manager::AgentSide& side, const std::string& session) {
  std::error_code ignored;
  const std::string program = std::filesystem::read_symlink("/proc/self/exe", ignored).string();
  json::array env;
  env.push_back(json::object{{"name", "PERDURE_TASK_ID"}, {"value", side.task().str()}});
  env.push_back(json::object{{"name", "PERDURE_SESSION"}, {"value", session}});
  json::array args;
  for (const auto& word : {std::string("--session"), session, std::string("mcp")}) args.push_back(json::value(word));
  json::object server{{"name", "perdure"}, {"command", program}, {"args", std::move(args)}, {"env", std::move(env)}};
  json::array servers;
  servers.push_back(std::move(server));
  return servers;
}

// The option of that category or, if the agent gives no categories, of that name.
const json::object* find_option(const json::object& opened, std::string_view what) {
  const auto* const options = array_in(opened, "configOptions");
  if (options == nullptr) return nullptr;
  for (const std::string_view key : {"category", "id"})
    for (const auto& option : *options)
      if (option.is_object() && text_in(option.get_object(), key) == what) return &option.get_object();
  return nullptr;
}

// Options may be a flat list or groups.
std::vector<std::string> values_of(const json::object& option) {
  std::vector<std::string> values;
  const auto* const options = array_in(option, "options");
  if (options == nullptr) return values;
  for (const auto& one : *options) {
    if (!one.is_object()) continue;
    if (const auto* const grouped = array_in(one.get_object(), "options")) {
      for (const auto& inner : *grouped)
        if (inner.is_object()) values.push_back(text_in(inner.get_object(), "value"));
    } else {
      values.push_back(text_in(one.get_object(), "value"));
    }
  }
  return values;
}

std::vector<std::string> modes_of(const json::object& opened) {
  std::vector<std::string> ids;
  const auto* const modes = object_in(opened, "modes");
  const auto* const available = modes == nullptr ? nullptr : array_in(*modes, "availableModes");
  if (available != nullptr)
    for (const auto& mode : *available)
      if (mode.is_object()) ids.push_back(text_in(mode.get_object(), "id"));
  return ids;
}

Failure not_offered(std::string_view what, const std::string& value, const std::vector<std::string>& offered) {
  return {.code = fmt::format("acp.{}", what),
          .reason = offered.empty()
                        ? fmt::format("The agent offers no choice of {}, and '{}' was asked for", what, value)
                        : fmt::format("The agent has no {} '{}': there are {}", what, value, fmt::join(offered, ", "))};
}

}  // namespace

Turn::Step Turn::open_conversation() {
  json::object params{{"cwd", plan_.cwd}, {"mcpServers", our_server(side_, manager_.session())}};
  std::string_view method = "session/new";
  if (plan_.resume) {
    if (!able_.resume && !able_.load)
      return Failure{
          .code = "acp.resume",
          .reason = fmt::format("The agent '{}' can't resume a conversation: it offers neither session/resume nor "
                                "session/load",
                                plan_.agent)};
    params["sessionId"] = *plan_.resume;
    method = able_.resume ? "session/resume" : "session/load";
    replays_ = true;
  }
  auto answer = ask(method, std::move(params));
  replays_ = false;
  if (!answer) return std::move(answer.error());
  const json::object opened = answer->is_object() ? answer->get_object() : json::object();
  note_.agent_id = plan_.resume ? *plan_.resume : text_in(opened, "sessionId");
  if (note_.agent_id.empty())
    return Failure{.code = "acp.protocol", .reason = fmt::format("The agent's answer to {} has no sessionId", method)};
  terminals_.set_owner(note_.agent_id);
  {
    const std::lock_guard lock(mutex_);
    session_ = note_.agent_id;
  }
  if (auto failure = tell_record()) return failure;
  activity_.add("session", {{"agentId", note_.agent_id}, {"resumed", plan_.resume.has_value()}});
  if (auto failure = set_mode(opened)) return failure;
  if (auto failure = set_model(opened)) return failure;
  return tell_record();
}

Turn::Step Turn::choose_option(const json::object& option, const std::string& value, std::string_view what) {
  const auto offered = values_of(option);
  if (!offered.empty() && std::ranges::find(offered, value) == offered.end()) return not_offered(what, value, offered);
  auto answer = ask("session/set_config_option",
                    {{"sessionId", note_.agent_id}, {"configId", text_in(option, "id")}, {"value", value}});
  if (!answer) return std::move(answer.error());
  return std::nullopt;
}

Turn::Step Turn::set_mode(const json::object& opened) {
  if (!plan_.mode) return std::nullopt;
  const auto modes = modes_of(opened);
  if (modes.empty()) {
    if (const auto* const option = find_option(opened, "mode")) return choose_option(*option, *plan_.mode, "mode");
    // When a conversation is loaded, the agent need not list its options.
    if (!plan_.resume) return not_offered("mode", *plan_.mode, {});
  } else if (std::ranges::find(modes, *plan_.mode) == modes.end()) {
    return not_offered("mode", *plan_.mode, modes);
  }
  auto answer = ask("session/set_mode", {{"sessionId", note_.agent_id}, {"modeId", *plan_.mode}});
  if (!answer) return std::move(answer.error());
  return std::nullopt;
}

Turn::Step Turn::set_model(const json::object& opened) {
  const auto* const option = find_option(opened, "model");
  if (option != nullptr) {
    if (auto current = text_in(*option, "currentValue"); !current.empty()) note_.model = std::move(current);
  }
  if (!plan_.model) return std::nullopt;
  if (option == nullptr) return not_offered("model", *plan_.model, {});
  if (auto failure = choose_option(*option, *plan_.model, "model")) return failure;
  note_.model = plan_.model;
  return std::nullopt;
}

}  // namespace perdure::acp
