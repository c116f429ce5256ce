#include "top/terminal/screen.h"

#include "view/width.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <iterator>

namespace perdure::top {
namespace {

// 0 to 255 for each of red, green and blue, to the 216-colour cube of the 256-colour palette.
int palette_index(const view::Colour& colour) {
  const auto level = [](int value) { return value < 48 ? 0 : value < 115 ? 1 : (value - 35) / 40; };
  return 16 + 36 * level(colour.red) + 6 * level(colour.green) + level(colour.blue);
}

// The nearest of the sixteen colours.
int ansi_index(const view::Colour& colour) {
  if (colour.kind == view::Colour::Kind::indexed && colour.red < 16) return colour.red;
  int red = colour.red, green = colour.green, blue = colour.blue;
  if (colour.kind == view::Colour::Kind::indexed) {
    const int index = colour.red;
    if (index >= 232) {
      red = green = blue = 8 + 10 * (index - 232);
    } else {
      const auto level = [](int part) { return part == 0 ? 0 : 55 + 40 * part; };
      red = level((index - 16) / 36);
      green = level((index - 16) / 6 % 6);
      blue = level((index - 16) % 6);
    }
  }
  const int most = std::max({red, green, blue});
  if (most < 64) return 0;
  const int half = most / 2;
  return (red > half ? 1 : 0) + (green > half ? 2 : 0) + (blue > half ? 4 : 0) + (most > 200 ? 8 : 0);
}

std::string colour_text(const view::Colour& colour, Capabilities::Colours can, int base) {
  if (colour.kind == view::Colour::Kind::normal || can == Capabilities::Colours::none) return {};
  using enum Capabilities::Colours;
  if (can == ansi || (colour.kind == view::Colour::Kind::indexed && colour.red < 16)) {
    const int index = ansi_index(colour);
    return fmt::format(";{}", index < 8 ? base + index : base + 60 + index - 8);
  }
  if (colour.kind == view::Colour::Kind::indexed) return fmt::format(";{};5;{}", base + 8, colour.red);
  if (can == palette) return fmt::format(";{};5;{}", base + 8, palette_index(colour));
  return fmt::format(";{};2;{};{};{}", base + 8, colour.red, colour.green, colour.blue);
}

}  // namespace

void Screen::clear(Size size) {
  size_ = size;
  now_.assign(static_cast<std::size_t>(size.rows) * static_cast<std::size_t>(size.columns), Cell{});
  cursor_row_ = -1;
}

void Screen::blank(int row, int column) {
  const Cell empty{};
  if (at(row, column).text.empty() && column > 0) at(row, column - 1) = empty;
  if (column + 1 < size_.columns && at(row, column + 1).text.empty()) at(row, column + 1) = empty;
  at(row, column) = empty;
}

int Screen::put(int row, int column, std::string_view text, const view::Style& style, int end) {
  if (end < 0 || end > size_.columns) end = size_.columns;
  if (row < 0 || row >= size_.rows || column < 0) return column;
  while (!text.empty()) {
    const view::Cluster cluster = view::take_cluster(text);
    if (cluster.width == 0) continue;  // a control, or a mark without a base character
    const int width = static_cast<int>(cluster.width);
    if (column + width > end) break;
    for (int i = 0; i < width; ++i) blank(row, column + i);
    at(row, column) = {.text = std::string(cluster.bytes), .style = style, .certain = cluster.certain};
    if (width == 2) at(row, column + 1) = {.text = {}, .style = style, .certain = true};
    column += width;
  }
  return column;
}

int Screen::put(int row, int column, const view::Line& line, int end) {
  for (const auto& run : line) column = put(row, column, run.text, run.style, end);
  return column;
}

void Screen::shade(int row, std::uint16_t attributes) {
  if (row < 0 || row >= size_.rows) return;
  for (int column = 0; column < size_.columns; ++column) at(row, column).style.attributes |= attributes;
}

void Screen::cursor(int row, int column) {
  cursor_row_ = row;
  cursor_column_ = std::clamp(column, 0, std::max(0, size_.columns - 1));
}

void Screen::set_style(std::string& out, const view::Style& style) const {
  using view::Style;
  out += "\x1b[0";
  constexpr std::array<std::pair<std::uint16_t, std::string_view>, 5> kAttributes = {{{Style::kBold, ";1"},
                                                                                      {Style::kDim, ";2"},
                                                                                      {Style::kUnderline, ";4"},
                                                                                      {Style::kInverse, ";7"},
                                                                                      {Style::kStrike, ";9"}}};
  for (const auto& [attribute, text] : kAttributes)
    if ((style.attributes & attribute) != 0) out += text;
  if ((style.attributes & Style::kItalic) != 0 && can_.italic) out += ";3";
  // Concealed text is shown dimmed, and blinking is not used.
  if ((style.attributes & Style::kConceal) != 0) out += ";2";
  out += colour_text(style.foreground, can_.colours, 30);
  out += colour_text(style.background, can_.colours, 40);
  out += 'm';
}

std::string Screen::take_changes() {
  const bool all = !known_ || shown_size_ != size_;
  std::string out;
  if (cursor_shown_) out += can_.hide;
  if (all) out += "\x1b[0m\x1b[2J";
  if (all) shown_.assign(now_.size(), Cell{});
  view::Style style;
  bool styled = all;  // the terminal's style is known
  for (int row = 0; row < size_.rows; ++row) {
    int column_there = -1;  // of the terminal's cursor, in this row
    for (int column = 0; column < size_.columns; ++column) {
      const auto i =
          static_cast<std::size_t>(row) * static_cast<std::size_t>(size_.columns) + static_cast<std::size_t>(column);
      const Cell& cell = now_[i];
      if (cell.text.empty()) continue;
      const bool wide = column + 1 < size_.columns && now_[i + 1].text.empty();
      if (cell == shown_[i] && (!wide || now_[i + 1] == shown_[i + 1])) continue;
      if (column_there != column) out += fmt::format("\x1b[{};{}H", row + 1, column + 1);
      if (!styled || style != cell.style) {
        set_style(out, cell.style);
        style = cell.style;
        styled = true;
      }
      out += cell.text;
      // If terminals disagree about a width, the cursor's position after it is unknown.
      column_there = cell.certain && cell.text.size() <= 3 ? column + (wide ? 2 : 1) : -1;
    }
  }
  if (styled && style != view::Style{}) out += "\x1b[0m";
  cursor_shown_ = cursor_row_ >= 0;
  if (cursor_shown_) out += fmt::format("\x1b[{};{}H", cursor_row_ + 1, cursor_column_ + 1) + can_.show;
  shown_ = now_;
  shown_size_ = size_;
  known_ = true;
  return out;
}

}  // namespace perdure::top
