#pragma once

#include "mcp/service/tool.h"

namespace perdure::mcp {

/// All of a record for programs (resources): its keys in snake_case, without those that are null, absent, or of use to
/// Perdure alone.
[[nodiscard]] json::object describe(const Task& task);

/// How a task ended or what it is doing, without keys that a model does not need: status, exit code or signal,
/// terminal_reason, and everything unusual.
[[nodiscard]] json::object outcome_facts(const Task& task);

/// One task of TaskList, for clients that show structured content.
[[nodiscard]] json::object listed_task(const Task& task);

/// The same on one line of at most 80 characters, without a line end. With the owner if others' tasks are listed.
[[nodiscard]] std::string task_line(const Task& task, bool with_owner = false);

/// `key: value` lines; objects and arrays as JSON.
[[nodiscard]] std::string lines_of(const json::object& members);

/// timed_out, stopped or failed; absent for an ordinary exit.
[[nodiscard]] std::optional<std::string_view> terminal_reason(const Task& task);

/// How a task ended or what it is doing, in one sentence.
[[nodiscard]] std::string outcome_sentence(const Task& task);

/// The answer as AskUserQuestion returns it: {"answers":{...}}, with a note if there is none.
[[nodiscard]] ToolResult result_of_answer(const Answer& answer);
[[nodiscard]] ToolResult result_of_question(const AskedQuestion& asked);

/// The result of an ended task for tasks/get: the client can't say how much of the output it wants, so it gets at most
/// 2 KiB of its end.
[[nodiscard]] Result<ToolResult> result_of_ended(Service& service, const Caller& caller, const Task& task);

}  // namespace perdure::mcp
