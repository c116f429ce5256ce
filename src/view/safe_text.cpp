#include "view/safe_text.h"

#include "base/utf8.h"
#include "view/width.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>

namespace perdure::view {
namespace {

constexpr char kEscape = '\x1b';
constexpr std::size_t kTab = 8;
constexpr std::size_t kMostParameters = 32;  // of one sequence; the others are ignored

struct Cell {
  std::string text;  // empty: the right half of the wide character before it
  Style style;
};

// The cells of one line, on a terminal of unlimited width.
class Canvas {
 public:
  // Erasing takes time in proportion to the line, and a line may contain it a thousand times: `most_erased` limits the
  // total.
  explicit Canvas(std::size_t most_erased) : may_erase_(most_erased) {}

  void put(std::string_view text, std::size_t width, Style style) {
    if (at_ + width > cells_.size()) cells_.resize(at_ + width, Cell{.text = " ", .style = {}});
    if (struck_back_ && width == 1) {
      const Cell& old = cells_[at_];
      if (old.text == text && text != " ") style.attributes |= Style::kBold;
      if (old.text == "_" && text != "_") style.attributes |= Style::kUnderline;
    }
    for (std::size_t i = 0; i < width; ++i) clear(at_ + i);
    cells_[at_] = {std::string(text), style};
    for (std::size_t i = 1; i < width; ++i) cells_[at_ + i] = {{}, style};
    at_ += width;
    struck_back_ = false;
  }
  void tab() {
    const std::size_t stop = (at_ / kTab + 1) * kTab;
    if (stop > cells_.size()) cells_.resize(stop, Cell{.text = " ", .style = {}});
    at_ = stop;
  }
  void carriage_return() {
    at_ = 0;
    struck_back_ = false;
  }
  void back() {
    if (at_ > 0) --at_;
    // Moves the cursor off the second half of a wide character.
    if (at_ > 0 && at_ < cells_.size() && cells_[at_].text.empty()) --at_;
    struck_back_ = true;
  }
  void erase(int how) {
    if (how == 0) {
      if (at_ < cells_.size()) {
        clear(at_);
        cells_.resize(at_);
      }
    } else if ((how == 1 || how == 2) && may_erase_ >= cells_.size()) {
      may_erase_ -= cells_.size();
      for (std::size_t i = 0; i < cells_.size() && (how == 2 || i <= at_); ++i) clear(i);
    }
  }

  [[nodiscard]] Line line() const {
    Line runs;
    for (const Cell& cell : cells_) {
      if (cell.text.empty()) continue;
      if (runs.empty() || runs.back().style != cell.style) runs.push_back({{}, cell.style});
      runs.back().text += cell.text;
    }
    return runs;
  }

 private:
  // Blanks a cell, and the other half of a wide character in it.
  void clear(std::size_t i) {
    const Cell blank{.text = " ", .style = {}};
    if (cells_[i].text.empty() && i > 0) cells_[i - 1] = blank;
    if (i + 1 < cells_.size() && cells_[i + 1].text.empty()) cells_[i + 1] = blank;
    cells_[i] = blank;
  }

  std::vector<Cell> cells_;
  std::size_t at_ = 0;
  std::size_t may_erase_;
  bool struck_back_ = false;
};

struct Parameters {
  std::array<int, kMostParameters> values{};
  std::size_t count = 0;
};

// Parses "1;38;5;2". Colons separate, too. Absent numbers are 0.
Parameters parameters_of(std::string_view text) {
  Parameters found;
  while (found.count < kMostParameters) {
    const std::size_t end = std::min(text.find_first_of(";:"), text.size());
    int value = 0;
    const auto parsed = std::from_chars(text.data(), text.data() + end, value);
    found.values[found.count++] = parsed.ec == std::errc() ? value : 0;
    if (end == text.size()) break;
    text.remove_prefix(end + 1);
  }
  return found;
}

Colour indexed(int index) {
  return {.kind = Colour::Kind::indexed, .red = static_cast<std::uint8_t>(std::clamp(index, 0, 255))};
}

// 38 or 48 at `i`: advances `i` to the last parameter of the colour.
void set_extended(const Parameters& p, std::size_t& i, Colour& colour) {
  const auto byte = [&](std::size_t at) {
    return static_cast<std::uint8_t>(std::clamp(at < p.count ? p.values[at] : 0, 0, 255));
  };
  const int how = i + 1 < p.count ? p.values[i + 1] : 0;
  if (how == 5) {
    colour = indexed(byte(i + 2));
    i += 2;
  } else if (how == 2) {
    colour = {.kind = Colour::Kind::rgb, .red = byte(i + 2), .green = byte(i + 3), .blue = byte(i + 4)};
    i += 4;
  }
}

void set_style(std::string_view text, Style& style) {
  const Parameters p = parameters_of(text);
  constexpr std::array<std::uint16_t, 10> kOn = {0,
                                                 Style::kBold,
                                                 Style::kDim,
                                                 Style::kItalic,
                                                 Style::kUnderline,
                                                 Style::kBlink,
                                                 Style::kBlink,
                                                 Style::kInverse,
                                                 Style::kConceal,
                                                 Style::kStrike};
  constexpr std::array<std::uint16_t, 10> kOff = {0,
                                                  0,
                                                  Style::kBold | Style::kDim,
                                                  Style::kItalic,
                                                  Style::kUnderline,
                                                  Style::kBlink,
                                                  0,
                                                  Style::kInverse,
                                                  Style::kConceal,
                                                  Style::kStrike};
  for (std::size_t i = 0; i < p.count; ++i) {
    const int n = p.values[i];
    if (n == 0) {
      style = {};
    } else if (n >= 1 && n <= 9) {
      style.attributes |= kOn[static_cast<std::size_t>(n)];
    } else if (n == 21) {
      style.attributes |= Style::kUnderline;  // double underline, where supported
    } else if (n >= 22 && n <= 29) {
      style.attributes &= static_cast<std::uint16_t>(~kOff[static_cast<std::size_t>(n - 20)]);
    } else if (n >= 30 && n <= 37) {
      style.foreground = indexed(n - 30);
    } else if (n == 38) {
      set_extended(p, i, style.foreground);
    } else if (n == 39) {
      style.foreground = {};
    } else if (n >= 40 && n <= 47) {
      style.background = indexed(n - 40);
    } else if (n == 48) {
      set_extended(p, i, style.background);
    } else if (n == 49) {
      style.background = {};
    } else if (n >= 90 && n <= 97) {
      style.foreground = indexed(n - 90 + 8);
    } else if (n >= 100 && n <= 107) {
      style.background = indexed(n - 100 + 8);
    }
  }
}

bool is_between(char c, char first, char last) {
  return c >= first && c <= last;
}

struct Sequence {
  std::size_t bytes = 0;        // 0: not a sequence, or not complete in this line
  std::string_view parameters;  // of a control sequence without intermediate bytes
  char final = 0;               // its last byte; 0: a sequence of another kind
};

// The end of a string that began before `from`: after BEL or ST.
std::size_t end_of_string(std::string_view text, std::size_t from) {
  for (std::size_t i = from; i < text.size(); ++i) {
    if (text[i] == '\a') return i + 1;
    if (text[i] == '\x18' || text[i] == '\x1a') return i + 1;
    if (text[i] == kEscape) return i + 1 < text.size() && text[i + 1] == '\\' ? i + 2 : 0;
  }
  return 0;
}

// Parses the sequence at the start of `text`, which begins with ESC.
Sequence sequence_at(std::string_view text) {
  if (text.size() < 2) return {};
  std::size_t i = 1;
  if (text[1] == '[') {
    i = 2;
    const std::size_t begin = i;
    while (i < text.size() && is_between(text[i], 0x30, 0x3f)) ++i;
    const std::string_view parameters = text.substr(begin, i - begin);
    const std::size_t intermediate = i;
    while (i < text.size() && is_between(text[i], 0x20, 0x2f)) ++i;
    if (i == text.size() || !is_between(text[i], 0x40, 0x7e)) return {};
    const bool plain = i == intermediate && (parameters.empty() || is_between(parameters[0], '0', ';'));
    return {i + 1, parameters, plain ? text[i] : '\0'};
  }
  if (text[1] == ']' || text[1] == 'P' || text[1] == 'X' || text[1] == '^' || text[1] == '_')
    return {end_of_string(text, 2), {}, 0};
  while (i < text.size() && is_between(text[i], 0x20, 0x2f)) ++i;
  if (i == text.size() || !is_between(text[i], 0x30, 0x7e)) return {};
  return {i + 1, {}, 0};
}

char32_t code_of(std::string_view character) {
  const auto lead = static_cast<unsigned char>(character.front());
  char32_t code = character.size() == 1 ? lead : lead & (0xFFU >> (character.size() + 1));
  for (std::size_t i = 1; i < character.size(); ++i)
    code = (code << 6U) | (static_cast<unsigned char>(character[i]) & 0x3FU);
  return code;
}

std::string_view first_character(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text.front());
  return text.substr(0, lead < 0x80 ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2);
}

// U+2400 + n; U+2421 for DEL.
std::string picture_of(char control) {
  const auto n = static_cast<unsigned char>(control == 0x7f ? 0x21 : control);
  return {'\xE2', '\x90', static_cast<char>(0x80 + n)};
}

void draw(std::string_view text, Canvas& canvas) {
  Style style;
  while (!text.empty()) {
    const char c = text.front();
    if (c == kEscape) {
      const Sequence sequence = sequence_at(text);
      if (sequence.bytes > 0) {
        if (sequence.final == 'm') set_style(sequence.parameters, style);
        if (sequence.final == 'K') canvas.erase(parameters_of(sequence.parameters).values[0]);
        text.remove_prefix(sequence.bytes);
        continue;
      }
    }
    const std::string_view character = first_character(text);
    const char32_t code = code_of(character);
    const Width kind = width_class(code);
    if (kind == Width::narrow || kind == Width::wide) {
      const Cluster cluster = take_cluster(text);
      canvas.put(cluster.bytes, cluster.width, style);
      continue;
    }
    text.remove_prefix(character.size());
    if (c == '\t') {
      canvas.tab();
    } else if (c == '\r') {
      canvas.carriage_return();
    } else if (c == '\b') {
      canvas.back();
    } else if (kind == Width::control) {
      canvas.put(character.size() == 1 ? picture_of(c) : "\xEF\xBF\xBD", 1, style);
    } else if (kind == Width::bidi) {
      for (const char letter : fmt::format("<U+{:04X}>", static_cast<unsigned>(code)))
        canvas.put({&letter, 1}, 1, style);
    }
    // Hidden characters, and marks without a base character, are dropped.
  }
}

}  // namespace

Line safe_line(std::string_view bytes) {
  Canvas canvas(4 * bytes.size() + 4096);
  draw(to_valid_utf8(bytes), canvas);
  return canvas.line();
}

std::string plain_text(const Line& line) {
  std::string text;
  for (const auto& run : line) text += run.text;
  return text;
}

std::string safe_words(std::string_view bytes) {
  std::string one_line(bytes);
  std::ranges::replace(one_line, '\n', ' ');
  std::ranges::replace(one_line, '\r', ' ');
  return plain_text(safe_line(one_line));
}

}  // namespace perdure::view
