#pragma once

#include <perdure/error.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace perdure::manager {

struct TomlEntry;
struct TomlValue;
using TomlArray = std::vector<TomlValue>;
using TomlTable = std::vector<TomlEntry>;

/// A value of a TOML file and the line in which it begins. std::monostate stands for dates and times, which no setting
/// has.
struct TomlValue {
  std::variant<std::monostate, bool, std::int64_t, double, std::string, TomlArray, TomlTable> content;
  std::int64_t line = 0;
};
struct TomlEntry {
  std::string key;
  std::int64_t line = 0;
  TomlValue value;
};

/// The type of a value, for messages: "a string", "a table".
[[nodiscard]] std::string_view kind_of(const TomlValue& value);

/// The entries of a TOML text, in the order of their lines. Errors: config_invalid naming `path` and the line.
[[nodiscard]] Result<TomlTable> parse_toml(std::string_view text, const std::string& path);

/// config_invalid, with the key and the file in `details`. `line` 0: none.
[[nodiscard]] std::unexpected<Error> bad_config(const std::string& where, std::int64_t line, std::string_view key,
                                                std::string_view what);

}  // namespace perdure::manager
