#pragma once

#include "mcp/protocol/arguments.h"
#include "mcp/service/service.h"

#include <chrono>
#include <optional>
#include <span>
#include <string>
#include <variant>
#include <vector>

namespace perdure::mcp {

/// The result of a tool. Most clients show a model either the text or the structured content, so each is complete by
/// itself; those that show both get the text alone (protocol/client.h).
struct ToolResult {
  std::string text;
  json::object structured;
  bool is_error = false;        ///< Perdure could not carry out the request
  bool command_failed = false;  ///< it could, but the command failed
  std::vector<TaskId> outputs;  ///< tasks whose log is linked as a resource
  /// Ended tasks whose outcome is in this result: their owner is not notified again (L33).
  std::vector<Task> delivered;
};

/// A task was started, durably. Clients with support for tasks get it as one, all others get `told`.
struct TaskStarted {
  Task task;
  ToolResult told;
};

/// Modern era: the client has to repeat the call with the answers to these requests.
struct InputNeeded {
  json::object requests;  ///< by key
  std::string state;      ///< the client returns it with the answers; not trusted
};

using ToolAnswer = std::variant<ToolResult, TaskStarted, InputNeeded>;

struct ToolCall {
  Service& service;
  Request& request;
  const Arguments& arguments;

  [[nodiscard]] TaskManager& manager() const { return service.manager(); }
  [[nodiscard]] std::string owner() const { return service.owner_of(request.caller); }
  [[nodiscard]] bool all_owners() const { return arguments.is_true("all_owners"); }
  /// Text of Perdure's, with "@Tool" replaced by the name for this caller's model.
  [[nodiscard]] std::string words(std::string_view text) const;
  [[nodiscard]] int stop_fd() const { return request.call.stop.fd(); }
};

struct Tool {
  std::string_view name, title, description;
  std::span<const Parameter> parameters;
  std::span<const Parameter> answers;  ///< members that the structured content always has
  bool read_only = false, destructive = false, idempotent = false, open_world = false;
  bool may_be_task = false;
  ToolAnswer (*call)(ToolCall& call);
};

/// In the order of the tool list, which never changes.
[[nodiscard]] std::span<const Tool* const> all_tools();

extern const Tool kBashTool, kAgentTool, kTaskListTool, kTaskOutputTool, kTaskStopTool, kWaitForTool, kTaskDetachTool,
    kTaskWriteTool, kAskUserQuestionTool;

/// The parameter of every tool that reads tasks.
/// How often a waiting call reports progress.
inline constexpr std::chrono::milliseconds kProgressEvery{1000};

inline constexpr Parameter kTaskId{
    .name = "task_id", .description = "The task, as @Bash or @TaskList named it.", .required = true};
inline constexpr Parameter kAllOwners{.name = "all_owners",
                                      .type = Parameter::Type::boolean,
                                      .description = "Tasks of every owner, not only yours.",
                                      .default_text = "false"};

/// The client's own id of this tool call, if it sends one.
[[nodiscard]] std::optional<std::string> tool_use_of(const Request& request);

[[nodiscard]] ToolResult tool_error(std::string message);
[[nodiscard]] ToolResult tool_error(const Error& error);

/// A tool in the tools/list for this caller.
[[nodiscard]] json::object listed(const Tool& tool, const Caller& caller);
/// A tool's result in the form of tools/call for this caller.
[[nodiscard]] json::object call_result(Service& service, const ToolResult& result, const Caller& caller);

}  // namespace perdure::mcp
