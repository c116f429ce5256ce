#include "top/log/activity_line.h"

#include <boost/json.hpp>
#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>

namespace perdure::top {
namespace {

namespace json = boost::json;

std::string clock_text(std::int64_t ms) {
  const auto seconds = static_cast<std::time_t>(ms / 1000);
  std::tm local{};
  if (::localtime_r(&seconds, &local) == nullptr) return {};
  return fmt::format("{:%H:%M:%S}", local);
}

std::string text_of(const json::value& value) {
  return value.is_string() ? std::string(value.get_string()) : json::serialize(value);
}

}  // namespace

view::Line activity_line(std::string_view text) {
  boost::system::error_code error;
  const json::value parsed = json::parse(text, error, {}, {.max_depth = 64});
  if (error || !parsed.is_object()) return view::safe_line(text);
  const auto& entry = parsed.get_object();
  constexpr std::array<std::string_view, 7> kTelling = {"title",    "text",   "path",   "command",
                                                        "question", "reason", "agentId"};
  const auto* const time = entry.if_contains("time");
  const auto* const type = entry.if_contains("type");
  const std::string kind = view::safe_words(type != nullptr && type->is_string() ? type->get_string().c_str() : "?");
  std::string told, rest;
  for (const auto name : kTelling)
    if (const auto* const value = entry.if_contains(name)) told += (told.empty() ? "" : " ") + text_of(*value);
  for (const auto& [name, value] : entry)
    if (name != "time" && name != "type" && std::ranges::find(kTelling, std::string_view(name)) == kTelling.end())
      rest += fmt::format("{}{} {}", rest.empty() ? "" : ", ", std::string_view(name), text_of(value));
  const view::Style dim{.foreground = {}, .background = {}, .attributes = view::Style::kDim};
  const view::Style bold{.foreground = {}, .background = {}, .attributes = view::Style::kBold};
  view::Line line{{(time != nullptr && time->is_int64() ? clock_text(time->get_int64()) : std::string()) + "  ", dim},
                  {fmt::format("{:<12} ", kind), bold},
                  {view::safe_words(told), {}}};
  if (!rest.empty()) line.push_back({"  (" + view::safe_words(rest) + ")", dim});
  return line;
}

}  // namespace perdure::top
