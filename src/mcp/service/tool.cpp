#include "mcp/service/tool.h"

#include "mcp/protocol/client.h"
#include "mcp/service/describe.h"
#include "mcp/service/resource.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace perdure::mcp {
namespace {

constexpr std::array<const Tool*, 9> kTools = {&kBashTool,       &kAgentTool,     &kTaskListTool,
                                               &kTaskOutputTool, &kTaskStopTool,  &kWaitForTool,
                                               &kTaskDetachTool, &kTaskWriteTool, &kAskUserQuestionTool};

constexpr std::string_view kSinceStructured = "2025-06-18", kSinceAnnotations = "2025-03-26",
                           kSinceTasks = "2025-11-25";

// For programs: the members that are always present. docs/reference/mcp.md explains them; each word of a list of tools
// uses tokens in every conversation.
std::optional<json::object> promise_of(const Tool& tool) {
  constexpr std::array<const Tool*, 4> kPromising = {&kBashTool, &kTaskListTool, &kTaskOutputTool, &kWaitForTool};
  if (std::ranges::find(kPromising, &tool) == kPromising.end()) return std::nullopt;
  json::array required;
  for (const auto& answer : tool.answers)
    if (answer.required) required.emplace_back(answer.name);
  return json::object{{"type", "object"}, {"required", std::move(required)}};
}

}  // namespace

std::span<const Tool* const> all_tools() {
  return kTools;
}

std::string ToolCall::words(std::string_view text) const {
  return with_tool_names(text, request.caller);
}

std::optional<std::string> tool_use_of(const Request& request) {
  const auto* const id = request.meta().if_contains("claudecode/toolUseId");
  return id != nullptr && id->is_string() ? std::optional(std::string(id->get_string())) : std::nullopt;
}

ToolResult tool_error(std::string message) {
  ToolResult result;
  result.text = std::move(message);
  result.is_error = true;
  return result;
}

ToolResult tool_error(const Error& error) {
  return tool_error(fmt::format("{} ({})", error.message, name_of(error.code)));
}

json::object listed(const Tool& tool, const Caller& caller) {
  const ClientTraits& client = traits_of(caller);
  json::object shown{{"name", tool.name}};
  if (caller.knows(kSinceStructured)) shown["title"] = tool.title;
  std::string description = with_tool_names(tool.description, client);
  // The instructions for all other clients.
  if (!client.shows_instructions && &tool == &kBashTool)
    description += with_tool_names(fmt::format(" {}", kWhoseIds), client);
  shown["description"] = description;
  shown["inputSchema"] = schema_of(tool.parameters, client);
  if (caller.knows(kSinceStructured) && !client.is_known)
    if (auto promise = promise_of(tool)) shown["outputSchema"] = std::move(*promise);
  if (caller.knows(kSinceAnnotations))
    shown["annotations"] = json::object{{"title", tool.title},
                                        {"readOnlyHint", tool.read_only},
                                        {"destructiveHint", tool.destructive},
                                        {"idempotentHint", tool.idempotent},
                                        {"openWorldHint", tool.open_world}};
  if (client.defers_tools && &tool == &kBashTool)
    shown["_meta"] = json::object{{"anthropic/alwaysLoad", true},
                                  {"anthropic/searchHint", "durable background commands, dev servers, builds, tests"}};
  // At most optional: a client without tasks must be able to call every tool.
  if (caller.era == Era::legacy && caller.knows(kSinceTasks))
    shown["execution"] = json::object{{"taskSupport", tool.may_be_task ? "optional" : "forbidden"}};
  return shown;
}

json::object call_result(Service& service, const ToolResult& result, const Caller& caller) {
  const ClientTraits& client = traits_of(caller);
  json::array content;
  content.push_back(json::object{{"type", "text"}, {"text", result.text}});
  if (caller.knows(kSinceStructured))
    for (const auto& id : result.outputs)
      if (auto link = output_link(service, id)) content.push_back(std::move(*link));
  json::object answer{{"content", std::move(content)}};
  if (caller.knows(kSinceStructured) && !result.structured.empty() && !client.text_only)
    answer["structuredContent"] = result.structured;
  // Known clients flatten, cut or escape the result of a failed call (review A3, A10). The exit code tells of the
  // failure as well.
  answer["isError"] = result.is_error || (result.command_failed && !client.is_known);
  return answer;
}

}  // namespace perdure::mcp
