#include "mcp/service/tool.h"

#include "mcp/service/describe.h"
#include "mcp/service/resource.h"

#include <fmt/format.h>

#include <array>

namespace perdure::mcp {
namespace {

constexpr std::array<const Tool*, 9> kTools = {&kBashTool,       &kAgentTool,     &kTaskListTool,
                                               &kTaskOutputTool, &kTaskStopTool,  &kWaitForTool,
                                               &kTaskDetachTool, &kTaskWriteTool, &kAskUserQuestionTool};

constexpr std::string_view kSinceStructured = "2025-06-18", kSinceAnnotations = "2025-03-26",
                           kSinceTasks = "2025-11-25";

}  // namespace

std::span<const Tool* const> all_tools() {
  return kTools;
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
  json::object shown{{"name", tool.name}};
  if (caller.knows(kSinceStructured)) shown["title"] = tool.title;
  shown["description"] = tool.description;
  shown["inputSchema"] = schema_of(tool.parameters);
  if (caller.knows(kSinceStructured) && !tool.answers.empty()) {
    json::object schema = schema_of(tool.answers);
    schema.erase("additionalProperties");  // the record's keys come besides
    shown["outputSchema"] = std::move(schema);
  }
  if (caller.knows(kSinceAnnotations))
    shown["annotations"] = json::object{{"title", tool.title},
                                        {"readOnlyHint", tool.read_only},
                                        {"destructiveHint", tool.destructive},
                                        {"idempotentHint", tool.idempotent},
                                        {"openWorldHint", tool.open_world}};
  // Optional at most: a client without tasks must be able to call every tool.
  if (caller.era == Era::legacy && caller.knows(kSinceTasks))
    shown["execution"] = json::object{{"taskSupport", tool.may_be_task ? "optional" : "forbidden"}};
  return shown;
}

json::object call_result(Service& service, const ToolResult& result, const Caller& caller) {
  json::array content;
  content.push_back(json::object{{"type", "text"}, {"text", result.text}});
  if (caller.knows(kSinceStructured))
    for (const auto& id : result.outputs)
      if (auto link = output_link(service, id)) content.push_back(std::move(*link));
  json::object answer{{"content", std::move(content)}};
  if (caller.knows(kSinceStructured) && !result.structured.empty()) answer["structuredContent"] = result.structured;
  answer["isError"] = result.is_error;
  return answer;
}

}  // namespace perdure::mcp
