#pragma once

#include "jsonrpc/message.h"

#include <expected>
#include <string>
#include <string_view>
#include <utility>

// Access to members of an agent's messages, each of which may be missing or of another type.
namespace perdure::acp {

namespace json = jsonrpc::json;

/// "" if it is missing or not a string.
[[nodiscard]] inline std::string text_in(const json::object& object, std::string_view name) {
  const auto* const value = object.if_contains(name);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : std::string();
}

/// nullptr if it is missing or not an object.
[[nodiscard]] inline const json::object* object_in(const json::object& object, std::string_view name) {
  const auto* const value = object.if_contains(name);
  return value == nullptr ? nullptr : value->if_object();
}

/// The same for an array.
[[nodiscard]] inline const json::array* array_in(const json::object& object, std::string_view name) {
  const auto* const value = object.if_contains(name);
  return value == nullptr ? nullptr : value->if_array();
}

/// The answer to a request whose parameters are invalid.
[[nodiscard]] inline std::unexpected<jsonrpc::Fault> wrong(std::string what) {
  return std::unexpected(jsonrpc::Fault{.code = jsonrpc::kInvalidParams, .message = std::move(what)});
}

}  // namespace perdure::acp
