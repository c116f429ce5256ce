#pragma once

#include "mcp/service/service.h"
#include <perdure/manager.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace perdure::mcp {

/// The key of our one input request, in inputRequests and inputResponses.
inline constexpr std::string_view kAnswerKey = "answer";

/// A form that puts questions to a person: for each a choice, and a field for an answer in own words.
[[nodiscard]] json::object form_for(const std::vector<Question>& questions, const Caller& caller);

/// What a person did with it.
struct FormAnswer {
  std::map<std::string, std::string> answers;  ///< by the question's text
  bool is_complete = false;                    ///< every question has one
  bool is_dismissed = false;                   ///< declined or cancelled
};
/// Absent: it is no answer to a form.
[[nodiscard]] std::optional<FormAnswer> read_form(const std::vector<Question>& questions, const json::value& response);

/// What is told of a form that was dismissed so long after it was sent. Nobody reads and declines one in less than a
/// second: then the client did it by itself, and nothing was refused. Absent: not known.
[[nodiscard]] std::string dismissal_note(std::optional<std::int64_t> after_ms);

/// Modern era, which keeps nothing between two calls: the client hands this back as `requestState`, with the answer.
[[nodiscard]] std::string asked_now();
[[nodiscard]] std::optional<std::int64_t> asked_ago_ms(const Request& request);

/// Can this caller be shown a form within its conversation?
[[nodiscard]] bool can_be_asked(const Request& request);

/// Shows the form of an open question, and does with it what the person says. Blocks until then, until the call ends, or
/// for ten minutes. The task as it is then: the first answer counted, and it may have come from elsewhere.
[[nodiscard]] Result<Task> ask_by_form(Service& service, Request& request, const std::vector<Question>& questions,
                                       const TaskId& id);

}  // namespace perdure::mcp
