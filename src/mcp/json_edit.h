#pragma once

#include <perdure/error.h>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Changes one value of a JSON file that a user may have written: comments, trailing commas, indentation, line ends and
// a byte order mark stay unchanged. Pure; every change is a splice, so that it can be undone byte by byte.
namespace perdure::mcp {

/// At byte `at` of a text, `removed` is replaced by `inserted`.
struct Splice {
  std::size_t at = 0;
  std::string removed, inserted;
};
[[nodiscard]] std::string spliced(std::string_view text, const Splice& splice);

/// Keys from the top down.
using JsonPath = std::vector<std::string>;

/// Checks that the text is one JSON object, with comments and trailing commas allowed. Errors: config_invalid, with
/// line and column.
[[nodiscard]] Result<> check_json(std::string_view text);

/// The value at the path as strict JSON, without comments; absent if there is none.
[[nodiscard]] Result<std::optional<std::string>> json_value_at(std::string_view text, const JsonPath& path);

/// Sets the value at the path, making missing objects above it. A blank text becomes a whole file. Absent if an equal
/// value is there already. Errors: config_invalid.
[[nodiscard]] Result<std::optional<Splice>> set_json_member(std::string_view text, const JsonPath& path,
                                                            std::string_view value);

/// Appends the item to the array at the path, making missing containers. Absent if an equal item is there already.
[[nodiscard]] Result<std::optional<Splice>> append_json_item(std::string_view text, const JsonPath& path,
                                                             std::string_view item);

/// Removes the member with its comma. Absent if there is none.
[[nodiscard]] Result<std::optional<Splice>> remove_json_member(std::string_view text, const JsonPath& path);

/// Removes the first equal item of the array at the path. Absent if there is none.
[[nodiscard]] Result<std::optional<Splice>> remove_json_item(std::string_view text, const JsonPath& path,
                                                             std::string_view item);

}  // namespace perdure::mcp
