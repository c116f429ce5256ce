#pragma once

#include "mcp/service/tool.h"

namespace perdure::mcp {

/// A task as agents see it: the record's keys in snake_case, without those that are null, absent, or of use to
/// Perdure alone.
[[nodiscard]] json::object describe(const Task& task);

/// `key: value` lines; objects and arrays as JSON.
[[nodiscard]] std::string lines_of(const json::object& members);

/// timed_out, stopped or failed; absent for an ordinary exit.
[[nodiscard]] std::optional<std::string_view> terminal_reason(const Task& task);

/// How a task ended or stands, in one sentence.
[[nodiscard]] std::string outcome_sentence(const Task& task);

/// What TaskOutput tells: the record, what there is to know of its log, and at most `tail` bytes of its end. The last
/// two members are `output` and, where the preview was cut smaller than asked, `preview_limit_bytes`.
[[nodiscard]] Result<json::object> describe_with_output(const Service& service, const Caller& caller, const Task& task,
                                                        std::int64_t tail);

/// The members as lines, their `output` behind a blank line.
[[nodiscard]] std::string text_with_output(const json::object& members);

/// What was answered, as AskUserQuestion tells it: {"answers":{...}}, with a note where there is none.
[[nodiscard]] ToolResult result_of_answer(const Answer& answer);
[[nodiscard]] ToolResult result_of_question(const AskedQuestion& asked);

/// The result of a task that has ended, as tasks/get and TaskOutput tell it.
[[nodiscard]] Result<ToolResult> result_of_ended(Service& service, const Caller& caller, const Task& task);

}  // namespace perdure::mcp
