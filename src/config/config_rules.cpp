#include "config/config_rules.h"

#include "base/json_writer.h"
#include "codec/record.h"

#include <fmt/format.h>

#include <cctype>
#include <cstdlib>

namespace perdure::manager {
namespace {

std::string described(const TomlValue& value) {
  if (const auto* yes = std::get_if<bool>(&value.content)) return *yes ? "true" : "false";
  if (const auto* number = std::get_if<std::int64_t>(&value.content)) return fmt::to_string(*number);
  if (const auto* fraction = std::get_if<double>(&value.content)) return fmt::to_string(*fraction);
  if (const auto* text = std::get_if<std::string>(&value.content)) return fmt::format("'{}'", *text);
  return std::string(kind_of(value));
}

const std::string* text_of(const Given& given) {
  return std::get_if<std::string>(&given.value.content);
}

}  // namespace

std::unexpected<std::string> not_allowed(const Given& given, const std::string& takes) {
  return std::unexpected(fmt::format("{} is not allowed: give {}", described(given.value), takes));
}

Checked<std::string> read_text(const Given& given) {
  const std::string* const text = text_of(given);
  if (text == nullptr || text->empty() || text->contains('\0')) return not_allowed(given, "text");
  return *text;
}

Checked<bool> TruthRule::read(const Given& given) const {
  if (const auto* yes = std::get_if<bool>(&given.value.content)) return *yes;
  if (given.is_text && (*text_of(given) == "true" || *text_of(given) == "1")) return true;
  if (given.is_text && (*text_of(given) == "false" || *text_of(given) == "0")) return false;
  return not_allowed(given, takes());
}

Shown TruthRule::shown(bool value) {
  std::string word = value ? "true" : "false";
  return {.text = word, .json = word};
}

std::string NumberRule::takes() const {
  return most == std::numeric_limits<std::int64_t>::max() ? fmt::format("a whole number, {} or more", least)
                                                          : fmt::format("a whole number from {} to {}", least, most);
}

Checked<std::int64_t> NumberRule::read(const Given& given) const {
  if (given.is_text) {
    if (const auto number = parse_integer(*text_of(given), least, most)) return *number;
  } else if (const auto* number = std::get_if<std::int64_t>(&given.value.content)) {
    if (*number >= least && *number <= most) return *number;
  }
  return not_allowed(given, takes());
}

Shown NumberRule::shown(std::int64_t value) {
  return {.text = fmt::to_string(value), .json = fmt::to_string(value)};
}

Checked<std::chrono::milliseconds> CountedTimeRule::read(const Given& given) const {
  const auto number = count.read(given);
  if (!number) return std::unexpected(number.error());
  return *number * unit;
}

std::string DurationRule::takes() const {
  return fmt::format("a duration such as \"90s\" or \"30d\", from {} to {}", exact_duration(least),
                     exact_duration(most));
}

Checked<std::chrono::milliseconds> DurationRule::read(const Given& given) const {
  std::string text;
  if (const auto* seconds = std::get_if<std::int64_t>(&given.value.content)) text = fmt::to_string(*seconds);
  if (text_of(given) != nullptr) text = *text_of(given);
  const auto duration = parse_duration(text);
  if (!duration || *duration < least || *duration > most) return not_allowed(given, takes());
  return *duration;
}

std::string SizeRule::takes() const {
  return fmt::format("a size such as \"64MiB\" or a number of bytes, {} or more", exact_size(least));
}

Checked<std::int64_t> SizeRule::read(const Given& given) const {
  std::string text;
  if (const auto* bytes = std::get_if<std::int64_t>(&given.value.content)) text = fmt::to_string(*bytes);
  if (text_of(given) != nullptr) text = *text_of(given);
  const auto size = parse_size(text);
  if (!size || *size < least) return not_allowed(given, takes());
  return *size;
}

Shown SizeRule::shown(std::int64_t value) {
  return {.text = exact_size(value), .json = fmt::to_string(value)};
}

Checked<std::string> TextRule::read(const Given& given) const {
  return read_text(given);
}

Checked<std::string> PathRule::read(const Given& given) const {
  auto text = read_text(given);
  if (text && text->starts_with('/')) return text;
  const char* const home = std::getenv("HOME");  // NOLINT(concurrency-mt-unsafe): never changed here
  if (text && text->starts_with("~/") && home != nullptr && *home == '/') return home + text->substr(1);
  return not_allowed(given, takes());
}

Checked<std::vector<std::string>> PathsRule::read(const Given& given) const {
  std::vector<std::string> paths;
  const auto add = [&](const TomlValue& one) {
    auto path = PathRule().read({.value = one, .is_text = given.is_text});
    if (path) paths.push_back(std::move(*path));
    return path.has_value();
  };
  if (const auto* const array = std::get_if<TomlArray>(&given.value.content)) {
    for (const auto& item : *array)
      if (!add(item)) return not_allowed({.value = item}, takes());
    return paths;
  }
  const auto* const text = std::get_if<std::string>(&given.value.content);
  if (text == nullptr || !given.is_text) return not_allowed(given, takes());
  std::string_view rest = *text;
  while (!rest.empty()) {
    const auto colon = rest.find(':');
    if (!add({.content = std::string(rest.substr(0, colon))})) return not_allowed(given, takes());
    rest.remove_prefix(colon == std::string_view::npos ? rest.size() : colon + 1);
  }
  return paths;
}

Shown PathsRule::shown(const Type& value) {
  if (value.empty()) return {.text = "none", .json = "[]"};
  Shown shown{.text = {}, .json = "["};
  for (const auto& path : value) {
    shown.text += (shown.text.empty() ? "" : ":") + path;
    shown.json += (shown.json.size() > 1 ? "," : "") + json_quoted(path);
  }
  shown.json += "]";
  return shown;
}

Checked<std::string> KeysRule::read(const Given& given) const {
  auto text = read_text(given);
  constexpr std::string_view kCtrl = "ctrl-";
  if (text && *text == "none") return text;
  if (text && text->starts_with(kCtrl) && text->size() == kCtrl.size() + 1) {
    // Ctrl-C and Ctrl-Z have other meanings.
    constexpr std::string_view kFree = "ABDEFGHIJKLMNOPQRSTUVWXY@[\\]^_";
    if (kFree.contains(static_cast<char>(std::toupper(text->back())))) return text;
  }
  return not_allowed(given, takes());
}

}  // namespace perdure::manager
