#pragma once

#include "acp/connection.h"
#include "acp/owner.h"

#include <optional>
#include <vector>

// elicitation/create: a form that the agent wants somebody to fill in.
namespace perdure::acp {

/// One field of a form.
struct FormField {
  enum class Type { text, integer, number, boolean } type = Type::text;
  std::string name;
  Question question;
  std::vector<json::value> values;  ///< what each option of the question stands for; empty: what was said
};

/// The fields of a form; nothing where it asks for what a question can't (more than four, lists, other types).
[[nodiscard]] std::optional<std::vector<FormField>> read_form(const json::object& params);

/// What the answers fill in. Nothing where one is not of its field's type.
[[nodiscard]] std::optional<json::object> fill_in(const std::vector<FormField>& fields, const Answer& answer);

/// The owner is asked where the policy is to ask; else it is declined.
[[nodiscard]] Handler::Answer elicit(const Owner& owner, const json::object& params, const jsonrpc::Call& call);

}  // namespace perdure::acp
