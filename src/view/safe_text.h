#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// Makes output of commands harmless for a terminal or a page (V24). Pure.
namespace perdure::view {

/// A colour: the terminal's default, one of 256, or red, green and blue.
struct Colour {
  enum class Kind : std::uint8_t { normal, indexed, rgb } kind = Kind::normal;
  std::uint8_t red = 0;  ///< or the index
  std::uint8_t green = 0, blue = 0;
  bool operator==(const Colour&) const = default;
};

struct Style {
  static constexpr std::uint16_t kBold = 1, kDim = 2, kItalic = 4, kUnderline = 8, kBlink = 16, kInverse = 32,
                                 kConceal = 64, kStrike = 128;
  Colour foreground, background;
  std::uint16_t attributes = 0;
  bool operator==(const Style&) const = default;
};

/// Text of one style. Valid UTF-8 without control characters.
struct Run {
  std::string text;
  Style style;
  bool operator==(const Run&) const = default;
};
using Line = std::vector<Run>;

/// The last state of one line, given without its line end. SGR sequences become styles, which are reset at each line. A
/// carriage return overwrites; a backspace moves back, and a character struck twice is bold or underlined; erasing
/// within the line is applied. All other sequences are dropped. A lone control is shown as U+2400 + n, a bidirectional
/// control as "<U+202E>", a tab as blanks. Time and memory are linear in the number of bytes.
[[nodiscard]] Line safe_line(std::string_view bytes);

[[nodiscard]] std::string plain_text(const Line& line);

/// The same for short texts: names, descriptions, commands. Line ends become blanks.
[[nodiscard]] std::string safe_words(std::string_view bytes);

}  // namespace perdure::view
