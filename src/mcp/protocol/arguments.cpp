#include "mcp/protocol/arguments.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

namespace perdure::mcp {
namespace {

std::string_view type_word(Parameter::Type type) {
  switch (type) {
    case Parameter::Type::text: return "string";
    case Parameter::Type::integer: return "integer";
    case Parameter::Type::boolean: return "boolean";
    case Parameter::Type::texts: return "array";
    case Parameter::Type::any: return "";
  }
  return "";
}

// 60.0 is the integer 60: some clients have only one type of number.
std::optional<std::int64_t> whole(const json::value& value) {
  if (value.is_int64()) return value.get_int64();
  if (value.is_double() && std::trunc(value.get_double()) == value.get_double() && std::abs(value.get_double()) < 9e15)
    return static_cast<std::int64_t>(value.get_double());
  return std::nullopt;
}

std::optional<std::string> range_fault(const Parameter& parameter, std::int64_t number, std::string_view what) {
  if (parameter.most && number > *parameter.most)
    return fmt::format("{}: {}{} is over the maximum of {}", parameter.name, number, what, *parameter.most);
  if (parameter.least && number < *parameter.least)
    return fmt::format("{}: {}{} is below the minimum of {}", parameter.name, number, what, *parameter.least);
  return std::nullopt;
}

// What is wrong with a value. An integer is converted to int64.
std::optional<std::string> fault_in(const Parameter& parameter, json::value& value) {
  const auto wrong_type = [&] { return fmt::format("{}: must be a {}", parameter.name, type_word(parameter.type)); };
  switch (parameter.type) {
    case Parameter::Type::any: return std::nullopt;
    case Parameter::Type::boolean: return value.is_bool() ? std::nullopt : std::optional(wrong_type());
    case Parameter::Type::text: {
      if (!value.is_string()) return wrong_type();
      const std::string_view text = value.get_string();
      if (!parameter.words.empty() && std::ranges::find(parameter.words, text) == parameter.words.end())
        return fmt::format("{}: expected one of {}, got '{}'", parameter.name, fmt::join(parameter.words, ", "), text);
      if (parameter.required && text.empty()) return fmt::format("{}: is empty", parameter.name);
      return std::nullopt;
    }
    case Parameter::Type::integer: {
      const auto number = whole(value);
      if (!number) return wrong_type();
      value = *number;
      return range_fault(parameter, *number, "");
    }
    case Parameter::Type::texts: {
      if (!value.is_array()) return wrong_type();
      for (const auto& item : value.get_array())
        if (!item.is_string()) return fmt::format("{}: must be an array of strings", parameter.name);
      return range_fault(parameter, static_cast<std::int64_t>(value.get_array().size()), " entries");
    }
  }
  return std::nullopt;
}

}  // namespace

json::object schema_of(std::span<const Parameter> parameters, const ClientTraits& client) {
  json::object properties;
  json::array required;
  for (const auto& parameter : parameters) {
    json::object one;
    if (!parameter.schema.empty()) {
      properties[parameter.name] = json::parse(parameter.schema);
      if (parameter.required) required.emplace_back(parameter.name);
      continue;
    }
    if (parameter.type != Parameter::Type::any) one["type"] = type_word(parameter.type);
    one["description"] = with_tool_names(parameter.description, client);
    const bool is_list = parameter.type == Parameter::Type::texts;
    if (is_list) one["items"] = json::object{{"type", "string"}};
    if (parameter.least) one[is_list ? "minItems" : "minimum"] = *parameter.least;
    if (parameter.most) one[is_list ? "maxItems" : "maximum"] = *parameter.most;
    if (!parameter.words.empty()) one["enum"] = json::array(parameter.words.begin(), parameter.words.end());
    if (!parameter.default_text.empty()) one["default"] = json::parse(parameter.default_text);
    properties[parameter.name] = std::move(one);
    if (parameter.required) required.emplace_back(parameter.name);
  }
  json::object schema{{"type", "object"}, {"properties", std::move(properties)}};
  if (!required.empty()) schema["required"] = std::move(required);
  schema["additionalProperties"] = false;
  return schema;
}

std::expected<Arguments, std::string> Arguments::check(std::span<const Parameter> parameters,
                                                       const json::object& given) {
  Arguments checked;
  for (const auto& member : given) {
    const auto known = std::ranges::find(parameters, std::string_view(member.key()), &Parameter::name);
    if (known == parameters.end()) {
      std::vector<std::string_view> names;
      for (const auto& parameter : parameters) names.push_back(parameter.name);
      return std::unexpected(fmt::format("{}: there is no such argument; there are: {}", std::string_view(member.key()),
                                         fmt::join(names, ", ")));
    }
    if (member.value().is_null()) continue;
    json::value value = member.value();
    if (auto wrong = fault_in(*known, value)) return std::unexpected(std::move(*wrong));
    checked.values_[member.key()] = std::move(value);
  }
  for (const auto& parameter : parameters)
    if (parameter.required && !checked.has(parameter.name))
      return std::unexpected(fmt::format("{}: is required", parameter.name));
  return checked;
}

std::optional<std::string> Arguments::text(std::string_view name) const {
  const auto* const value = values_.if_contains(name);
  if (value == nullptr) return std::nullopt;
  return std::string(value->as_string());
}

std::optional<std::int64_t> Arguments::integer(std::string_view name) const {
  const auto* const value = values_.if_contains(name);
  if (value == nullptr) return std::nullopt;
  return value->as_int64();
}

bool Arguments::is_true(std::string_view name) const {
  const auto* const value = values_.if_contains(name);
  return value != nullptr && value->as_bool();
}

std::optional<std::vector<std::string>> Arguments::texts(std::string_view name) const {
  const auto* const value = values_.if_contains(name);
  if (value == nullptr) return std::nullopt;
  std::vector<std::string> found;
  for (const auto& item : value->as_array()) found.emplace_back(item.as_string());
  return found;
}

}  // namespace perdure::mcp
