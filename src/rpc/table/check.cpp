#include "rpc/table/method.h"

#include <fmt/format.h>

#include <algorithm>

namespace perdure::rpc {
namespace {

std::string_view kind_of(const json::value& value) {
  switch (value.kind()) {
    case json::kind::null: return "null";
    case json::kind::bool_: return "a boolean";
    case json::kind::int64:
    case json::kind::uint64: return "an integer";
    case json::kind::double_: return "a number";
    case json::kind::string: return "a string";
    case json::kind::array: return "an array";
    case json::kind::object: return "an object";
  }
  return "nothing";
}

std::string expected(std::string_view what, const json::value& value) {
  return fmt::format("expected {}, got {}", what, kind_of(value));
}

bool is_one_of(std::string_view words, std::string_view word) {
  while (!words.empty()) {
    const auto bar = words.find('|');
    if (words.substr(0, bar) == word) return true;
    words.remove_prefix(bar == std::string_view::npos ? words.size() : bar + 1);
  }
  return false;
}

std::string complaint(const Field& field, std::string_view type, const json::value& value);

std::string complaint_about_members(std::span<const Field> fields, const json::object& given) {
  for (const auto& field : fields) {
    const auto* const value = given.if_contains(field.name);
    if (value == nullptr || value->is_null()) {
      if (field.required) return fmt::format("{}: is missing", field.name);
      continue;
    }
    if (auto wrong = complaint(field, field.type, *value); !wrong.empty())
      return fmt::format("{}: {}", field.name, wrong);
  }
  return "";
}

std::string complaint_about_integer(const Field& field, const json::value& value) {
  if (!value.is_int64()) return expected("an integer", value);
  const std::int64_t number = value.get_int64();
  const std::int64_t least = field.least.value_or(0), most = field.most.value_or(INT64_MAX);
  if (number >= least && number <= most) return "";
  if (!field.most) return fmt::format("expected an integer from {}, got {}", least, number);
  return fmt::format("expected an integer from {} to {}, got {}", least, most, number);
}

std::string complaint_about_array(const Field& field, std::string_view type, const json::value& value) {
  const auto* const items = value.if_array();
  if (items == nullptr) return expected("an array", value);
  for (std::size_t i = 0; i < items->size(); ++i)
    if (auto wrong = complaint(field, type, (*items)[i]); !wrong.empty()) return fmt::format("[{}]: {}", i, wrong);
  return "";
}

std::string complaint_about_strings(const json::value& value) {
  const auto* const members = value.if_object();
  if (members == nullptr) return expected("an object", value);
  for (const auto& member : *members)
    if (!member.value().is_string())
      return fmt::format("{}: {}", std::string_view(member.key()), expected("a string", member.value()));
  return "";
}

// "" if the value has the type.
std::string complaint(const Field& field, std::string_view type, const json::value& value) {
  if (type.ends_with('?')) return value.is_null() ? "" : complaint(field, type.substr(0, type.size() - 1), value);
  if (type.ends_with("[]")) return complaint_about_array(field, type.substr(0, type.size() - 2), value);
  if (type == "string+")
    return value.is_array()    ? complaint_about_array(field, "string", value)
           : value.is_string() ? ""
                               : expected("a string or an array of strings", value);
  if (type == "string") return value.is_string() ? "" : expected("a string", value);
  if (type == "boolean") return value.is_bool() ? "" : expected("a boolean", value);
  if (type == "number") return value.is_number() ? "" : expected("a number", value);
  if (type == "integer") return complaint_about_integer(field, value);
  if (type == "{string}") return complaint_about_strings(value);
  if (type.find('|') != std::string_view::npos) {
    if (!value.is_string()) return expected(fmt::format("one of {}", type), value);
    const std::string_view word = value.get_string();
    return is_one_of(type, word) ? "" : fmt::format("expected one of {}, got '{}'", type, word);
  }
  const auto* const members = value.if_object();
  if (members == nullptr) return expected("an object", value);
  const auto shapes = all_shapes();
  const auto shape = std::ranges::find(shapes, type, &Shape::name);
  return shape == shapes.end() ? "" : complaint_about_members(shape->fields, *members);
}

}  // namespace

std::string_view name_of(Repeat repeat) {
  switch (repeat) {
    case Repeat::yes: return "yes";
    case Repeat::with_key: return "withKey";
    case Repeat::with_write_id: return "withWriteId";
    case Repeat::no: return "no";
    case Repeat::uncertain: return "uncertain";
  }
  return "";
}

std::expected<void, Fault> check(std::span<const Field> fields, const json::object& given) {
  if (auto wrong = complaint_about_members(fields, given); !wrong.empty())
    return std::unexpected(Fault{jsonrpc::kInvalidParams, "Invalid params: " + wrong});
  return {};
}

}  // namespace perdure::rpc
