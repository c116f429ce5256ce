#include "config/toml.h"

#include "base/error.h"

#include <fmt/format.h>

#include <algorithm>

// Only this file includes it: it takes ten seconds to compile, and no other file needs to know how files are parsed.
#define TOML_HEADER_ONLY 1
#define TOML_EXCEPTIONS 0
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

namespace perdure::manager {
namespace {

TomlValue convert(const toml::node& node);

TomlTable convert_table(const toml::table& table) {
  TomlTable entries;
  for (const auto& [key, node] : table)
    entries.push_back({.key = std::string(key.str()), .line = key.source().begin.line, .value = convert(node)});
  std::ranges::stable_sort(entries, {}, &TomlEntry::line);
  return entries;
}

TomlValue convert(const toml::node& node) {
  TomlValue value{.content = {}, .line = node.source().begin.line};
  if (const auto* table = node.as_table()) {
    value.content = convert_table(*table);
  } else if (const auto* array = node.as_array()) {
    TomlArray items;
    for (const auto& item : *array) items.push_back(convert(item));
    value.content = std::move(items);
  } else if (const auto* text = node.as_string()) {
    value.content = text->get();
  } else if (const auto* number = node.as_integer()) {
    value.content = number->get();
  } else if (const auto* fraction = node.as_floating_point()) {
    value.content = fraction->get();
  } else if (const auto* yes = node.as_boolean()) {
    value.content = yes->get();
  }
  return value;
}

}  // namespace

std::string_view kind_of(const TomlValue& value) {
  constexpr std::string_view kNames[] = {"a date or time", "true or false", "a number", "a number with a fraction",
                                         "a string",       "an array",      "a table"};
  return kNames[value.content.index()];
}

std::unexpected<Error> bad_config(const std::string& where, std::int64_t line, std::string_view key,
                                  std::string_view what) {
  const std::string place = line > 0 ? fmt::format("{}:{}", where, line) : where;
  auto failed = fail(ErrorCode::config_invalid,
                     key.empty() ? fmt::format("{}: {}", place, what) : fmt::format("{}: {}: {}", place, key, what));
  auto& details = failed.error().details;
  details["file"] = where;
  if (line > 0) details["line"] = fmt::to_string(line);
  if (!key.empty()) details["key"] = key;
  return failed;
}

Result<TomlTable> parse_toml(std::string_view text, const std::string& path) {
  const toml::parse_result parsed = toml::parse(text, path);
  if (!parsed) {
    const auto& error = parsed.error();
    return bad_config(path, error.source().begin.line, "", fmt::format("is not valid TOML: {}", error.description()));
  }
  return convert_table(parsed.table());
}

}  // namespace perdure::manager
