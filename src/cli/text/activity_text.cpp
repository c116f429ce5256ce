#include "cli/text/activity_text.h"

#include "cli/console/text.h"

#include <boost/json.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace perdure::cli {
namespace {

namespace json = boost::json;

constexpr std::size_t kColumns = 160;

std::string text_of(const json::value& value) {
  return value.is_string() ? std::string(value.get_string()) : json::serialize(value);
}

// The most informative keys of an entry come first; its other keys follow by name.
std::string line_of(const json::object& entry) {
  constexpr std::array<std::string_view, 7> kTelling = {"title",    "text",   "path",   "command",
                                                        "question", "reason", "agentId"};
  const auto* const time = entry.if_contains("time");
  const auto* const type = entry.if_contains("type");
  const std::string clock = time != nullptr && time->is_int64() ? time_text(time->get_int64()) : "";
  std::string line = fmt::format("{}  {:<16}", clock.size() > 11 ? clock.substr(11) : clock,
                                 type != nullptr && type->is_string() ? std::string_view(type->get_string()) : "?");
  for (const auto name : kTelling)
    if (const auto* const value = entry.if_contains(name)) line += " " + text_of(*value);
  std::string rest;
  for (const auto& member : entry) {
    const std::string_view name = member.key();
    const bool is_said =
        name == "time" || name == "type" || std::find(kTelling.begin(), kTelling.end(), name) != kTelling.end();
    if (!is_said) rest += fmt::format("{}{} {}", rest.empty() ? "" : ", ", name, text_of(member.value()));
  }
  if (!rest.empty()) line += fmt::format(" ({})", rest);
  return cut_to_width(harmless_line(line), kColumns);
}

}  // namespace

std::string activity_text(std::string_view json_lines) {
  std::string text;
  while (!json_lines.empty()) {
    const auto end = std::min(json_lines.find('\n'), json_lines.size());
    boost::system::error_code error;
    const json::value entry = json::parse(json_lines.substr(0, end), error, {}, {.max_depth = 64});
    if (!error && entry.is_object()) text += line_of(entry.get_object()) + "\n";
    json_lines.remove_prefix(std::min(end + 1, json_lines.size()));
  }
  return text;
}

std::string last_lines(std::string text, std::size_t most) {
  std::size_t at = text.size();
  for (std::size_t lines = 0; at > 0; --at)
    if (text[at - 1] == '\n' && at != text.size() && ++lines == most) break;
  text.erase(0, at);
  return text;
}

}  // namespace perdure::cli
