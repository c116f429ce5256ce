#include "cli/console/text.h"

#include "base/utf8.h"
#include "cli/console/table_layout.h"

#include <signal.h>

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <ctime>

namespace perdure::cli {
namespace {

struct Range {
  char32_t first, last;
};
// Characters of width 0 and 2. Blocks rather than single characters: the terminal's font decides in the end, and
// terminals agree on these.
constexpr std::array<Range, 12> kCombining = {{{0x0300, 0x036F},
                                               {0x0483, 0x0489},
                                               {0x0591, 0x05BD},
                                               {0x0610, 0x061A},
                                               {0x064B, 0x065F},
                                               {0x0900, 0x0902},
                                               {0x1AB0, 0x1AFF},
                                               {0x1DC0, 0x1DFF},
                                               {0x200B, 0x200F},
                                               {0x20D0, 0x20FF},
                                               {0xFE00, 0xFE0F},
                                               {0xFE20, 0xFE2F}}};
constexpr std::array<Range, 15> kWide = {{{0x1100, 0x115F},
                                          {0x231A, 0x231B},
                                          {0x23E9, 0x23EC},
                                          {0x2E80, 0x303E},
                                          {0x3041, 0x33FF},
                                          {0x3400, 0x4DBF},
                                          {0x4E00, 0x9FFF},
                                          {0xA000, 0xA4CF},
                                          {0xAC00, 0xD7A3},
                                          {0xF900, 0xFAFF},
                                          {0xFE30, 0xFE6F},
                                          {0xFF00, 0xFF60},
                                          {0xFFE0, 0xFFE6},
                                          {0x1F300, 0x1FAFF},
                                          {0x20000, 0x3FFFD}}};

template <std::size_t N>
bool is_in(char32_t c, const std::array<Range, N>& ranges) {
  return std::ranges::any_of(ranges, [c](const Range& range) { return c >= range.first && c <= range.last; });
}

struct Character {
  std::string_view bytes;
  std::size_t width;
};

// The first character of valid UTF-8.
Character take_character(std::string_view& text) {
  const auto lead = static_cast<unsigned char>(text.front());
  const std::size_t length = lead < 0x80 ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  char32_t code = length == 1 ? lead : lead & (0xFFU >> (length + 1));
  for (std::size_t i = 1; i < length && i < text.size(); ++i)
    code = (code << 6U) | (static_cast<unsigned char>(text[i]) & 0x3FU);
  const Character character{text.substr(0, length), is_in(code, kCombining) ? 0U : is_in(code, kWide) ? 2U : 1U};
  text.remove_prefix(std::min(length, text.size()));
  return character;
}

bool is_plain_ascii(std::string_view bytes) {
  return std::ranges::all_of(bytes, [](char c) { return c >= 0x20 && c < 0x7F; });
}

std::string harmless(std::string_view bytes, bool keep_lines) {
  if (is_plain_ascii(bytes)) return std::string(bytes);
  const std::string valid = to_valid_utf8(bytes);
  std::string out;
  for (std::string_view rest = valid; !rest.empty();) {
    const auto first = static_cast<unsigned char>(rest.front());
    if (keep_lines && (first == '\n' || first == '\t')) {
      out += static_cast<char>(first);
      rest.remove_prefix(1);
    } else if (first < 0x20 || first == 0x7F) {
      out += '^';
      out += static_cast<char>(first == 0x7F ? '?' : first + 0x40);
      rest.remove_prefix(1);
    } else if (first == 0xC2 && rest.size() > 1 && static_cast<unsigned char>(rest[1]) < 0xA0) {
      out += "\xEF\xBF\xBD";  // C1: some terminals interpret these as the start of an escape sequence
      rest.remove_prefix(2);
    } else {
      out += take_character(rest).bytes;
    }
  }
  return out;
}

}  // namespace

std::string duration_text(std::int64_t ms) {
  const std::int64_t s = ms / 1000;
  if (ms < 10'000) return fmt::format("{:.1f}s", static_cast<double>(std::max<std::int64_t>(0, ms)) / 1000);
  if (s < 60) return fmt::format("{}s", s);
  if (s < 3600) return fmt::format("{}m {}s", s / 60, s % 60);
  if (s < 86400) return fmt::format("{}h {}m", s / 3600, s / 60 % 60);
  return fmt::format("{}d {}h", s / 86400, s / 3600 % 24);
}

std::string age_text(std::int64_t ms) {
  const std::int64_t s = ms / 1000;
  if (s < 1) return "now";
  if (s < 60) return fmt::format("{}s ago", s);
  if (s < 3600) return fmt::format("{}m ago", s / 60);
  if (s < 86400) return fmt::format("{}h ago", s / 3600);
  return fmt::format("{}d ago", s / 86400);
}

std::string time_text(std::int64_t ms_since_epoch) {
  const auto seconds = static_cast<std::time_t>(ms_since_epoch / 1000);
  std::tm local{};
  if (::localtime_r(&seconds, &local) == nullptr) return fmt::to_string(ms_since_epoch);
  return fmt::format("{:%Y-%m-%d %H:%M:%S}", local);
}

std::size_t display_width(std::string_view utf8) {
  if (is_plain_ascii(utf8)) return utf8.size();
  std::size_t width = 0;
  while (!utf8.empty()) width += take_character(utf8).width;
  return width;
}

std::string cut_to_width(std::string_view utf8, std::size_t columns) {
  if (display_width(utf8) <= columns) return std::string(utf8);
  std::string out;
  std::size_t width = 0;
  while (!utf8.empty()) {
    const Character character = take_character(utf8);
    if (width + character.width + 1 > columns) break;
    width += character.width;
    out += character.bytes;
  }
  return columns == 0 ? "" : out + "…";
}

std::string cut_in_the_middle(std::string_view utf8, std::size_t columns) {
  const std::size_t width = display_width(utf8);
  if (width <= columns) return std::string(utf8);
  if (columns < 5) return cut_to_width(utf8, columns);
  const std::string head = cut_to_width(utf8, (columns + 1) / 2);  // with the "…"
  std::size_t left = width;
  while (left > columns - display_width(head)) left -= take_character(utf8).width;
  return head + std::string(utf8);
}

std::optional<int> signal_number(std::string_view text) {
  if (const auto number = parse_integer(text, 1, SIGRTMAX)) return static_cast<int>(*number);
  std::string upper(text);
  std::ranges::transform(upper, upper.begin(),
                         [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  text = upper;
  if (text.starts_with("SIG")) text.remove_prefix(3);
  for (int number = 1; number < NSIG; ++number)
    if (const char* const name = ::sigabbrev_np(number); name != nullptr && name == text) return number;
  return std::nullopt;
}

std::string harmless_line(std::string_view bytes) {
  return harmless(bytes, false);
}

std::string harmless_text(std::string_view bytes) {
  return harmless(bytes, true);
}

void TableLayout::measure(const std::vector<std::string>& cells) {
  widths_.resize(std::max(widths_.size(), cells.size()), 0);
  for (std::size_t i = 0; i < cells.size(); ++i) {
    std::size_t width = display_width(cells[i]);
    if (is_cut(i, cells.size()) && width > columns_ / 3)
      width = display_width(cut_in_the_middle(cells[i], columns_ / 3));
    widths_[i] = std::max(widths_[i], width);
  }
}

std::string TableLayout::line(const std::vector<std::string>& cells) const {
  std::string line;
  std::size_t used = 0;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    if (i + 1 == cells.size()) {
      line += columns_ == 0 ? cells[i]
                            : cut_to_width(cells[i], columns_ > used ? std::max<std::size_t>(columns_ - used, 8) : 8);
    } else {
      const std::string cut = is_cut(i, cells.size()) ? cut_in_the_middle(cells[i], columns_ / 3) : std::string();
      const std::string& cell = is_cut(i, cells.size()) ? cut : cells[i];
      line += cell;
      line.append(widths_[i] - display_width(cell) + 2, ' ');
    }
    used += widths_[i] + 2;
  }
  while (line.ends_with(' ')) line.pop_back();
  return line;
}

std::vector<std::string> Table::lines(std::size_t columns) const {
  TableLayout layout(columns);
  for (const auto& row : rows_) layout.measure(row);
  std::vector<std::string> lines;
  lines.reserve(rows_.size());
  for (const auto& row : rows_) lines.push_back(layout.line(row));
  return lines;
}

}  // namespace perdure::cli
