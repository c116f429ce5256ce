#include "codec/ascii.h"

#include <fmt/format.h>

#include <utility>

namespace perdure::codec {
namespace {

// The code point of the character at the start of valid UTF-8, and how many bytes it has.
std::pair<char32_t, std::size_t> decode_character(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const std::size_t length = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  char32_t value = lead & (0xFFU >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) value = (value << 6U) | (byte(i) & 0x3FU);
  return {value, length};
}

}  // namespace

std::string in_ascii(std::string_view escaped) {
  std::string out;
  while (!escaped.empty()) {
    const auto [value, length] = decode_character(escaped);
    if (value < 0x7F) {
      out += static_cast<char>(value);
    } else if (value < 0x10000) {
      out += fmt::format("\\u{:04x}", static_cast<unsigned>(value));
    } else {
      const auto rest = static_cast<unsigned>(value) - 0x10000U;
      out += fmt::format("\\u{:04x}\\u{:04x}", 0xD800U + (rest >> 10U), 0xDC00U + (rest & 0x3FFU));
    }
    escaped.remove_prefix(length);
  }
  return out;
}

}  // namespace perdure::codec
