#include "top/screens/words.h"

#include "view/width.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace perdure::top {

std::string age_text(std::int64_t ms) {
  const std::int64_t s = ms / 1000;
  if (s < 1) return "now";
  if (s < 60) return fmt::format("{}s", s);
  if (s < 3600) return fmt::format("{}m", s / 60);
  if (s < 86400) return fmt::format("{}h", s / 3600);
  return fmt::format("{}d", s / 86400);
}

std::string length_text(std::int64_t ms) {
  const std::int64_t s = std::max<std::int64_t>(0, ms) / 1000;
  if (s < 60) return fmt::format("{}s", s);
  if (s < 3600) return fmt::format("{}m{:02}s", s / 60, s % 60);
  if (s < 86400) return fmt::format("{}h{:02}m", s / 3600, s / 60 % 60);
  return fmt::format("{}d{:02}h", s / 86400, s / 3600 % 24);
}

std::vector<std::string> wrapped(std::string_view bytes, int columns) {
  const auto room = static_cast<std::size_t>(std::max(columns, 1));
  std::vector<std::string> lines;
  while (true) {
    const auto end = bytes.find('\n');
    const std::string text = view::plain_text(view::safe_line(bytes.substr(0, end)));
    std::string line;
    std::size_t width = 0, blank = std::string::npos;
    for (std::string_view rest = text; !rest.empty();) {
      const auto cluster = view::take_cluster(rest);
      if (width + cluster.width > room) {
        std::string kept;
        if (blank != std::string::npos && blank > 0) {
          kept = line.substr(blank + 1);
          line.resize(blank);
        }
        lines.push_back(std::move(line));
        line = std::move(kept);
        width = view::width_of(line);
        blank = std::string::npos;
        if (line.empty() && cluster.bytes == " ") continue;
      }
      if (cluster.bytes == " ") blank = line.size();
      line += cluster.bytes;
      width += cluster.width;
    }
    lines.push_back(std::move(line));
    if (end == std::string_view::npos) return lines;
    bytes.remove_prefix(end + 1);
  }
}

view::Style plain_style(std::uint16_t attributes, int colour) {
  view::Style style{.foreground = {}, .background = {}, .attributes = attributes};
  if (colour >= 0) style.foreground = {.kind = view::Colour::Kind::indexed, .red = static_cast<std::uint8_t>(colour)};
  return style;
}

view::Style style_of(Status status) {
  switch (status) {
    case Status::completed: return plain_style(0, 2);
    case Status::failed:
    case Status::lost: return plain_style(0, 1);
    case Status::timed_out:
    case Status::killed: return plain_style(0, 3);
    case Status::running: return plain_style(0, 6);
    case Status::queued: break;
  }
  return {};
}

}  // namespace perdure::top
