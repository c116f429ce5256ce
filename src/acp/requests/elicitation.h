#pragma once

#include "acp/protocol/connection.h"
#include "acp/requests/owner.h"

#include <optional>
#include <vector>

// elicitation/create: the agent asks the user to fill in a form.
namespace perdure::acp {

/// One field of a form.
struct FormField {
  enum class Type { text, integer, number, boolean } type = Type::text;
  std::string name;
  Question question;
  std::vector<json::value> values;  ///< the values of the question's options; empty: the typed text is the value
};

/// The fields of a form; absent if it has fields that a question can't represent (more than four, lists, other types).
[[nodiscard]] std::optional<std::vector<FormField>> read_form(const json::object& params);

/// The form's content from the answers. Absent if an answer is not of its field's type.
[[nodiscard]] std::optional<json::object> fill_in(const std::vector<FormField>& fields, const Answer& answer);

/// Asks the owner if the policy says so; else declines.
[[nodiscard]] Handler::Answer elicit(const Owner& owner, const json::object& params, const jsonrpc::Call& call);

}  // namespace perdure::acp
