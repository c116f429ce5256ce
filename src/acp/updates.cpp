#include "acp/protocol/fields.h"
#include "acp/requests/elicitation.h"
#include "acp/turn.h"
#include "base/utf8.h"

#include <fmt/format.h>

#include <array>
#include <utility>

// The agent's updates and requests during its turn.
namespace perdure::acp {
namespace {

constexpr std::size_t kErrorLine = 500;

// The members of an update that are kept, with their names in the activity.
json::object picked(const json::object& update,
                    std::initializer_list<std::pair<std::string_view, std::string_view>> names) {
  json::object fields;
  for (const auto& [theirs, ours] : names)
    if (const auto* const value = update.if_contains(theirs); value != nullptr && !value->is_null())
      fields[ours] = shortened(*value);
  return fields;
}

// The text of a content block, or the address of one that is not text.
std::string text_of_content(const json::object& update) {
  const auto* const content = object_in(update, "content");
  if (content == nullptr) return "";
  const std::string type = text_in(*content, "type");
  if (type == "text") return text_in(*content, "text");
  if (type == "resource_link") return text_in(*content, "uri");
  return fmt::format("[{}]", type);
}

json::object options_of(const json::object& update) {
  json::object values;
  if (const auto* const options = array_in(update, "configOptions"))
    for (const auto& option : *options)
      if (option.is_object())
        if (const auto* const current = option.get_object().if_contains("currentValue"))
          values[text_in(option.get_object(), "id")] = shortened(*current, 200);
  return values;
}

}  // namespace

void Turn::on_notification(const jsonrpc::Message& notification) {
  if (notification.method != "session/update" || replays_) return;
  {
    // A subagent of the agent's own may have a conversation beside this one.
    const std::lock_guard lock(mutex_);
    if (text_in(notification.params, "sessionId") != session_) return;
  }
  const auto* const update = object_in(notification.params, "update");
  if (update != nullptr) on_update(text_in(*update, "sessionUpdate"), *update);
}

// Unknown kinds are ignored: agents are ahead of their protocol.
void Turn::on_update(const std::string& kind, const json::object& update) {
  if (kind.ends_with("_message_chunk") || kind == "agent_thought_chunk") return on_chunk(kind, update);
  if (kind == "tool_call" || kind == "plan") {
    const std::lock_guard lock(mutex_);
    final_.interrupt();
  }
  if (kind == "tool_call") {
    permissions_.note_tool_call(update);
    activity_.add("tool_call", picked(update, {{"toolCallId", "id"},
                                               {"title", "title"},
                                               {"kind", "kind"},
                                               {"status", "status"},
                                               {"locations", "locations"},
                                               {"rawInput", "input"}}));
  } else if (kind == "tool_call_update") {
    permissions_.note_tool_call(update);
    activity_.add_talk("tool_call_update", picked(update, {{"toolCallId", "id"},
                                                           {"title", "title"},
                                                           {"status", "status"},
                                                           {"content", "content"},
                                                           {"rawOutput", "output"}}));
  } else if (kind == "plan") {
    activity_.add_talk("plan", picked(update, {{"entries", "entries"}}));
  } else if (kind == "current_mode_update") {
    activity_.add_talk("mode", picked(update, {{"currentModeId", "mode"}}));
  } else if (kind == "config_option_update") {
    activity_.add_talk("config", options_of(update));
  } else if (kind == "session_info_update") {
    activity_.add_talk("info", picked(update, {{"title", "title"}}));
  } else if (kind == "usage_update") {
    activity_.add_talk("usage", picked(update, {{"used", "used"}, {"size", "size"}, {"cost", "cost"}}));
  } else if (kind == "notice") {
    activity_.add_talk("notice",
                       picked(update, {{"severity", "severity"}, {"title", "title"}, {"description", "text"}}));
  } else if (kind == "compaction_update") {
    activity_.add_talk("compaction", picked(update, {{"status", "status"}, {"error", "reason"}}));
  }
}

void Turn::on_chunk(const std::string& kind, const json::object& update) {
  const std::string text = text_of_content(update);
  const bool is_message = kind == "agent_message_chunk";
  {
    const std::lock_guard lock(mutex_);
    if (is_message) {
      final_.add(text_in(update, "messageId"), text);
    } else {
      final_.interrupt();
    }
  }
  if (is_message) activity_.add_text("message", text);
  if (kind == "agent_thought_chunk" && plan_.thoughts) activity_.add_text("thought", text);
}

void Turn::on_error_line(std::string_view line) {
  std::string text = to_plain_text(line.substr(0, kErrorLine), false);
  if (text.find_first_not_of(' ') == std::string::npos) return;
  activity_.add_talk("stderr", {{"text", text}});
  const std::lock_guard lock(mutex_);
  last_error_line_ = std::move(text);
}

Handler::Answer Turn::on_request(const jsonrpc::Message& request, jsonrpc::Call& call) {
  {
    const std::lock_guard lock(mutex_);
    if (cancelled_) call.end(jsonrpc::Call::Ended::hung_up);
  }
  const auto& [method, params] = std::tie(request.method, request.params);
  if (method == "session/request_permission") return permissions_.decide(params, call);
  const auto is = [&](std::string_view name) { return method == name; };
  Answer answer =
      is("fs/read_text_file")        ? files_.read(params)
      : is("fs/write_text_file")     ? files_.write(params)
      : is("terminal/create")        ? terminals_.create(params)
      : is("terminal/output")        ? terminals_.output(params)
      : is("terminal/wait_for_exit") ? terminals_.wait_for_exit(params, call)
      : is("terminal/kill")          ? terminals_.kill(params)
      : is("terminal/release")       ? terminals_.release(params)
      : is("elicitation/create")
          ? elicit(owner_, params, call)
          : std::unexpected(jsonrpc::Fault{.code = jsonrpc::kMethodNotFound, .message = "Method not found: " + method});
  if (is("terminal/output")) return answer;  // requested repeatedly, so not noted
  json::object entry = picked(params, {{"path", "path"},
                                       {"command", "command"},
                                       {"args", "args"},
                                       {"terminalId", "terminal"},
                                       {"message", "question"}});
  entry["request"] = method;
  if (!answer) entry["reason"] = answer.error().message;
  activity_.add(answer || answer.error().code != jsonrpc::kMethodNotFound ? "request" : "request_refused",
                std::move(entry));
  return answer;
}

}  // namespace perdure::acp
