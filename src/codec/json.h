#pragma once

#include "base/error.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Parses as much JSON as is needed to split a record without losing a byte of the unknown parts: a parser that builds
// values would round numbers, re-spell strings and drop duplicates.
namespace perdure::codec {

enum class JsonType { string, integer, number, boolean, null, object, array };
[[nodiscard]] std::string_view name_of(JsonType type);

/// One member of an object, as it stands in the text.
struct Member {
  std::string_view key;  ///< between the quotes, escapes not resolved
  std::string_view raw;  ///< the value
  JsonType type = JsonType::null;

  [[nodiscard]] std::string_view between_quotes() const { return raw.substr(1, raw.size() - 2); }
};

/// The members of a JSON object in their order. Refused, with the reason and the place: anything RFC 8259 does not
/// allow, invalid UTF-8, more than 32 levels, a key that is there twice, anything that is no object.
[[nodiscard]] Result<std::vector<Member>> split_object(std::string_view text);

/// The values of a JSON array, each without a key. Refused as split_object() refuses.
[[nodiscard]] Result<std::vector<Member>> split_array(std::string_view text);

/// An integer that fits; 1.0 and 1e3 are none.
[[nodiscard]] std::optional<std::int64_t> integer_of(const Member& member);

/// A finite number of either spelling.
[[nodiscard]] std::optional<double> number_of(const Member& member);

/// The texts of an array that holds strings and nothing else; absent for any other.
[[nodiscard]] std::optional<std::vector<std::string>> strings_of(const Member& member);

/// The string's text. Lone surrogates become U+FFFD.
[[nodiscard]] std::string string_of(const Member& member);

}  // namespace perdure::codec
