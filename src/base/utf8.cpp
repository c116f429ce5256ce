#include "base/utf8.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace perdure {
namespace {

// Length of the valid character at the start of `s`, or 0. Table 3-7 of the Unicode standard: no overlong
// forms, no surrogates, nothing above U+10FFFF.
std::size_t character_length(std::string_view s) {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(s[i]); };
  const auto tail = [&](std::size_t i) { return i < s.size() && (at(i) & 0xC0U) == 0x80U; };
  const unsigned lead = at(0);
  if (lead < 0x80) return 1;
  if (lead >= 0xC2 && lead <= 0xDF) return tail(1) ? 2 : 0;
  if (lead >= 0xE0 && lead <= 0xEF) {
    if (!tail(1) || !tail(2)) return 0;
    if (lead == 0xE0 && at(1) < 0xA0) return 0;
    if (lead == 0xED && at(1) > 0x9F) return 0;
    return 3;
  }
  if (lead >= 0xF0 && lead <= 0xF4) {
    if (!tail(1) || !tail(2) || !tail(3)) return 0;
    if (lead == 0xF0 && at(1) < 0x90) return 0;
    if (lead == 0xF4 && at(1) > 0x8F) return 0;
    return 4;
  }
  return 0;
}

}  // namespace

bool is_valid_utf8(std::string_view bytes) {
  while (!bytes.empty()) {
    // Eight ASCII characters at a time: most text is ASCII.
    std::uint64_t eight = 0;
    if (bytes.size() >= sizeof eight) {
      std::memcpy(&eight, bytes.data(), sizeof eight);
      if ((eight & 0x8080808080808080U) == 0) {
        bytes.remove_prefix(sizeof eight);
        continue;
      }
    }
    const std::size_t n = character_length(bytes);
    if (n == 0) return false;
    bytes.remove_prefix(n);
  }
  return true;
}

std::string to_valid_utf8(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size());
  while (!bytes.empty()) {
    const std::size_t n = character_length(bytes);
    if (n == 0) {
      out += "\xEF\xBF\xBD";
      bytes.remove_prefix(1);
    } else {
      out += bytes.substr(0, n);
      bytes.remove_prefix(n);
    }
  }
  return out;
}

std::string to_plain_text(std::string_view bytes, bool keep_lines) {
  constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
  std::string out;
  out.reserve(bytes.size());
  while (!bytes.empty()) {
    const std::size_t n = character_length(bytes);
    const std::string_view character = bytes.substr(0, std::max<std::size_t>(n, 1));
    const auto lead = static_cast<unsigned char>(character.front());
    const bool breaks_line = lead == '\n' || lead == '\r';
    if (lead == '\r' && bytes.size() > 1 && bytes[1] == '\n') {
      // "\r\n" counts as one line end.
    } else if (breaks_line || lead == '\t') {
      out += !keep_lines ? ' ' : breaks_line ? '\n' : '\t';
    } else if (n == 0 || lead < 0x20 || lead == 0x7F ||
               (lead == 0xC2 && static_cast<unsigned char>(character[1]) < 0xA0) || character == "\xEF\xBF\xBE" ||
               character == "\xEF\xBF\xBF") {
      out += kReplacement;
    } else {
      out += character;
    }
    bytes.remove_prefix(character.size());
  }
  return out;
}

std::size_t continuation_prefix(std::string_view bytes) {
  std::size_t n = 0;
  while (n < std::min<std::size_t>(3, bytes.size()) && (static_cast<unsigned char>(bytes[n]) & 0xC0U) == 0x80U) ++n;
  return n;
}

std::size_t incomplete_suffix(std::string_view bytes) {
  for (std::size_t back = 1; back <= std::min<std::size_t>(3, bytes.size()); ++back) {
    const unsigned byte = static_cast<unsigned char>(bytes[bytes.size() - back]);
    if ((byte & 0xC0U) == 0x80U) continue;
    const std::size_t wanted = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : byte >= 0xC2 ? 2 : 1;
    return wanted > back ? back : 0;
  }
  return 0;
}

}  // namespace perdure
