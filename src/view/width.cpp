#include "view/width.h"

#include "view/width_table.h"

#include <algorithm>
#include <iterator>

namespace perdure::view {
namespace {

constexpr std::size_t kMostBytes = 32;
constexpr char32_t kJoiner = 0x200D, kEmojiStyle = 0xFE0F;

template <std::size_t N>
bool is_among(char32_t code, const Range (&ranges)[N]) {
  const auto* const found = std::ranges::lower_bound(ranges, code, {}, &Range::last);
  return found != std::end(ranges) && code >= found->first;
}

bool is_bidi(char32_t c) {
  return c == 0x061C || c == 0x200E || c == 0x200F || (c >= 0x202A && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}
bool is_skin_tone(char32_t c) {
  return c >= 0x1F3FB && c <= 0x1F3FF;
}
bool is_regional(char32_t c) {
  return c >= 0x1F1E6 && c <= 0x1F1FF;
}

struct Character {
  char32_t code = 0;
  std::size_t bytes = 0;
};

// The first character of valid UTF-8; bytes 0: there is none.
Character first_of(std::string_view text) {
  if (text.empty()) return {};
  const auto lead = static_cast<unsigned char>(text.front());
  const std::size_t length = lead < 0x80 ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  char32_t code = length == 1 ? lead : lead & (0xFFU >> (length + 1));
  for (std::size_t i = 1; i < length && i < text.size(); ++i)
    code = (code << 6U) | (static_cast<unsigned char>(text[i]) & 0x3FU);
  return {code, std::min(length, text.size())};
}

}  // namespace

Width width_class(char32_t code) {
  if (code < 0x20 || (code >= 0x7F && code < 0xA0)) return Width::control;
  if (code < 0x300) return code == 0xAD ? Width::hidden : Width::narrow;
  if (is_bidi(code)) return Width::bidi;
  if (is_among(code, kZero)) return Width::zero;
  if (is_among(code, kHidden)) return Width::hidden;
  return is_among(code, kWide) ? Width::wide : Width::narrow;
}

Cluster take_cluster(std::string_view& text) {
  const Character first = first_of(text);
  std::size_t length = first.bytes;
  Cluster cluster;
  switch (width_class(first.code)) {
    case Width::wide: cluster.width = 2; break;
    case Width::narrow: cluster.width = 1; break;
    case Width::control:
    case Width::bidi:
    case Width::hidden:
    case Width::zero: break;
  }
  bool joins = false;
  if (is_regional(first.code)) {
    // Two of them form a flag.
    if (const auto next = first_of(text.substr(length)); is_regional(next.code)) {
      length += next.bytes;
      cluster.width = 2;
      cluster.certain = false;
    }
  }
  while (cluster.width > 0) {
    const auto next = first_of(text.substr(length));
    const bool part = next.bytes > 0 && (width_class(next.code) == Width::zero || joins ||
                                         (is_skin_tone(next.code) && cluster.width == 2));
    if (!part || length + next.bytes > kMostBytes) break;
    if (joins || is_skin_tone(next.code) || next.code == kEmojiStyle) cluster.certain = false;
    length += next.bytes;
    // The character after a joiner is part of the emoji before it, unless that is text.
    const auto after = first_of(text.substr(length));
    joins = next.code == kJoiner && cluster.width == 2 && after.bytes > 0 && after.code > 0x2000 &&
            width_class(after.code) >= Width::narrow;
  }
  cluster.bytes = text.substr(0, length);
  text.remove_prefix(length);
  return cluster;
}

std::size_t width_of(std::string_view utf8) {
  std::size_t width = 0;
  while (!utf8.empty()) width += take_cluster(utf8).width;
  return width;
}

std::string cut_to(std::string_view utf8, std::size_t columns) {
  if (columns == 0) return {};
  if (width_of(utf8) <= columns) return std::string(utf8);
  std::string out;
  std::size_t width = 0;
  while (!utf8.empty()) {
    const Cluster cluster = take_cluster(utf8);
    if (width + cluster.width + 1 > columns) break;
    width += cluster.width;
    out += cluster.bytes;
  }
  return out + "…";
}

std::string fit_to(std::string_view utf8, std::size_t columns) {
  std::string out = cut_to(utf8, columns);
  out.append(columns - std::min(columns, width_of(out)), ' ');
  return out;
}

}  // namespace perdure::view
