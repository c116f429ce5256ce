#pragma once

#include "mcp/service/service.h"
#include <perdure/manager.h>

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace perdure::mcp {

/// The key of Perdure's one input request, in inputRequests and inputResponses.
inline constexpr std::string_view kAnswerKey = "answer";

/// A form with questions for the user: for each a choice, and a field for free text.
[[nodiscard]] json::object form_for(const std::vector<Question>& questions, const Caller& caller);

/// The user's reaction.
struct FormAnswer {
  std::map<std::string, std::string> answers;  ///< by the question's text
  bool is_complete = false;                    ///< every question has one
  bool is_dismissed = false;                   ///< declined or cancelled
};
/// Absent: it is not a response to a form.
[[nodiscard]] std::optional<FormAnswer> read_form(const std::vector<Question>& questions, const json::value& response);

/// What to say of a form that was dismissed this long after it was sent. No user reads and declines one in less than a
/// second: then the client did it by itself, and the user refused nothing. Absent: unknown.
[[nodiscard]] std::string dismissal_note(std::optional<std::int64_t> after_ms);

/// Modern era, without state between calls: the client returns this as `requestState` with the answer.
[[nodiscard]] std::string asked_now();
[[nodiscard]] std::optional<std::int64_t> asked_ago_ms(const Request& request);

/// Can this caller show a form within its conversation?
[[nodiscard]] bool can_be_asked(const Request& request);

/// Shows the form of an open question and applies the user's reaction. Blocks until then, until the call ends, or for
/// ten minutes. Returns the task as it is then: the first answer counts, and it may have come from elsewhere.
[[nodiscard]] Result<Task> ask_by_form(Service& service, Request& request, const std::vector<Question>& questions,
                                       const TaskId& id);

}  // namespace perdure::mcp
