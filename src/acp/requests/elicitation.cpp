#include "acp/requests/elicitation.h"

#include "acp/protocol/fields.h"
#include "base/utf8.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace perdure::acp {
namespace {

constexpr std::size_t kMostFields = 4, kMostOptions = 4;

std::string plain_text_in(const json::object& object, std::string_view name) {
  return to_plain_text(text_in(object, name), false);
}

void add_option(FormField& field, std::string label, json::value value) {
  field.question.options.push_back({.label = std::move(label), .description = ""});
  field.values.push_back(std::move(value));
}

void read_options(const json::object& schema, FormField& field) {
  if (field.type == FormField::Type::boolean) {
    add_option(field, "yes", true);
    add_option(field, "no", false);
  }
  if (const auto* const words = schema.if_contains("enum"); words != nullptr && words->is_array())
    for (const auto& word : words->get_array())
      if (word.is_string()) add_option(field, to_plain_text(word.get_string(), false), word);
  if (const auto* const titled = schema.if_contains("oneOf"); titled != nullptr && titled->is_array())
    for (const auto& one : titled->get_array())
      if (one.is_object() && one.get_object().contains("const"))
        add_option(field, plain_text_in(one.get_object(), "title"), one.get_object().at("const"));
  // A question has two to four options; if there are more, the text lists them, and the user types one.
  auto& options = field.question.options;
  if (options.size() > kMostOptions) {
    for (const auto& option : options) field.question.text += fmt::format("\n  {}", option.label);
    options.clear();
  }
  if (options.size() == 1) options.clear();
}

std::optional<FormField::Type> type_of(const json::object& schema) {
  const std::string type = plain_text_in(schema, "type");
  if (type == "string") return FormField::Type::text;
  if (type == "integer") return FormField::Type::integer;
  if (type == "number") return FormField::Type::number;
  if (type == "boolean") return FormField::Type::boolean;
  return std::nullopt;
}

std::optional<FormField> read_field(std::string_view name, const json::object& schema, std::string_view message) {
  const auto type = type_of(schema);
  if (!type) return std::nullopt;
  FormField field{.type = *type, .name = std::string(name)};
  const std::string title = plain_text_in(schema, "title");
  const std::string description = plain_text_in(schema, "description");
  field.question.text =
      fmt::format("{}{}{} [{}]", message, message.empty() ? "" : " ", title.empty() ? name : title, name);
  if (!description.empty()) field.question.text += ": " + description;
  read_options(schema, field);
  return field;
}

template <class T>
std::optional<json::value> number_in(std::string_view text) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return json::value(value);
}

std::optional<json::value> value_of(const FormField& field, const std::string& said) {
  for (std::size_t i = 0; i < field.values.size(); ++i) {
    const bool is_label = i < field.question.options.size() && field.question.options[i].label == said;
    if (is_label || (field.values[i].is_string() && field.values[i].get_string() == said)) return field.values[i];
  }
  switch (field.type) {
    case FormField::Type::integer: return number_in<std::int64_t>(said);
    case FormField::Type::number: return number_in<double>(said);
    case FormField::Type::boolean: return std::nullopt;
    case FormField::Type::text: break;
  }
  return field.values.empty() ? std::optional<json::value>(json::value(said)) : std::nullopt;
}

}  // namespace

std::optional<std::vector<FormField>> read_form(const json::object& params) {
  const auto* const schema = params.if_contains("requestedSchema");
  if (text_in(params, "mode") != "form" || schema == nullptr || !schema->is_object()) return std::nullopt;
  const auto* const properties = schema->get_object().if_contains("properties");
  if (properties == nullptr || !properties->is_object() || properties->get_object().empty() ||
      properties->get_object().size() > kMostFields)
    return std::nullopt;
  std::vector<FormField> fields;
  for (const auto& property : properties->get_object()) {
    if (!property.value().is_object()) return std::nullopt;
    auto field = read_field(property.key(), property.value().get_object(), plain_text_in(params, "message"));
    if (!field) return std::nullopt;
    fields.push_back(std::move(*field));
  }
  return fields;
}

std::optional<json::object> fill_in(const std::vector<FormField>& fields, const Answer& answer) {
  json::object content;
  for (const auto& field : fields) {
    const auto said = answer.answers.find(field.question.text);
    if (said == answer.answers.end()) return std::nullopt;
    auto value = value_of(field, said->second);
    if (!value) return std::nullopt;
    content[field.name] = std::move(*value);
  }
  return content;
}

Handler::Answer elicit(const Owner& owner, const json::object& params, const jsonrpc::Call& call) {
  const auto fields = owner.policy() == PermissionPolicy::ask ? read_form(params) : std::nullopt;
  if (!fields) return json::object{{"action", "decline"}};
  std::vector<Question> questions;
  for (const auto& field : *fields) questions.push_back(field.question);
  const auto reply = owner.ask(questions, call);
  if (reply.how == Owner::Reply::How::answered)
    if (auto content = fill_in(*fields, reply.answer))
      return json::object{{"action", "accept"}, {"content", std::move(*content)}};
  return json::object{{"action", reply.how == Owner::Reply::How::withdrawn ? "cancel" : "decline"}};
}

}  // namespace perdure::acp
