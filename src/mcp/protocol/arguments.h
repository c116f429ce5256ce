#pragma once

#include "mcp/protocol/client.h"
#include "mcp/protocol/protocol.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace perdure::mcp {

/// What kind of value a tool's parameter takes. One table makes the JSON Schema that clients see and the check of
/// what they send, so that the two can't differ.
struct Parameter {
  enum class Type { text, integer, boolean, texts, any };
  std::string_view name;
  Type type = Type::text;
  std::string_view description;
  bool required = false;
  std::optional<std::int64_t> least = {}, most = {};  ///< integers: the range; texts: how many
  std::string_view default_text = {};                 ///< JSON; "" for none
  std::span<const std::string_view> words = {};       ///< text: one of these
  std::string_view schema = {};                       ///< any: its JSON Schema, instead of what stands above
};

/// Descriptions name tools as this client does.
[[nodiscard]] json::object schema_of(std::span<const Parameter> parameters, const ClientTraits& client);

/// Arguments that were checked against their table. Reading one that was not declared is a bug.
class Arguments {
 public:
  /// The error names the argument, what is wrong with it, and the maximum where one was passed.
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
