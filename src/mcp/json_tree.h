#pragma once

#include "base/error.h"

#include <boost/json.hpp>

#include <string>
#include <string_view>
#include <vector>

// JSON as it is written in a file: where each value, key and comma stands. Comments and trailing commas are allowed.
namespace perdure::mcp {

inline constexpr std::string_view kBom = "\xEF\xBB\xBF";
inline constexpr std::string_view kBlank = " \t\r\n";

/// A value, by its place in the text.
struct JsonNode {
  char kind = 0;  // '{', '[', or 's' for a scalar
  std::size_t begin = 0, end = 0;
  std::string key;            // of a member
  std::size_t key_begin = 0;  // of a member; else the same as begin
  bool has_comma = false;     // behind it, at `comma`
  std::size_t comma = 0;
  std::vector<JsonNode> children;
};

/// The one object of the text. Errors: config_invalid, with line and column.
[[nodiscard]] Result<JsonNode> parse_json_tree(std::string_view text);

/// The node as strict JSON.
[[nodiscard]] boost::json::value strict_json(std::string_view text, const JsonNode& node);

}  // namespace perdure::mcp
