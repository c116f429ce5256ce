#pragma once

#include "mcp/protocol/client.h"
#include "mcp/protocol/protocol.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace perdure::mcp {

/// The type of a tool's parameter. One table yields both the JSON Schema for clients and the check of arguments, so
/// that the two can't differ.
struct Parameter {
  enum class Type { text, integer, boolean, texts, any };
  std::string_view name;
  Type type = Type::text;
  std::string_view description;
  bool required = false;
  std::optional<std::int64_t> least = {}, most = {};  ///< integers: the range; texts: how many
  std::string_view default_text = {};                 ///< JSON; "" for none
  std::span<const std::string_view> words = {};       ///< text: one of these
  std::string_view schema = {};                       ///< any: its JSON Schema, instead of the members above
};

/// Descriptions use this client's names of tools.
[[nodiscard]] json::object schema_of(std::span<const Parameter> parameters, const ClientTraits& client);

/// Checked arguments. Reading an argument that the table does not declare is a bug.
class Arguments {
 public:
  /// The error names the argument, what is wrong with it, and the maximum if it was exceeded.
  [[nodiscard]] static std::expected<Arguments, std::string> check(std::span<const Parameter> parameters,
                                                                   const json::object& given);

  [[nodiscard]] std::optional<std::string> text(std::string_view name) const;
  [[nodiscard]] std::optional<std::int64_t> integer(std::string_view name) const;
  [[nodiscard]] bool is_true(std::string_view name) const;
  [[nodiscard]] std::optional<std::vector<std::string>> texts(std::string_view name) const;
  [[nodiscard]] bool has(std::string_view name) const { return values_.contains(name); }
  [[nodiscard]] const json::object& all() const { return values_; }

 private:
  json::object values_;  // null counts as absent
};

}  // namespace perdure::mcp
