#include "codec/unescape.h"

#include <charconv>

namespace perdure::codec {
namespace {

void append_utf8(std::string& out, unsigned code) {
  const auto byte = [&](unsigned value) { out += static_cast<char>(value); };
  if (code < 0x80) {
    byte(code);
  } else if (code < 0x800) {
    byte(0xC0U | (code >> 6U));
    byte(0x80U | (code & 0x3FU));
  } else if (code < 0x10000) {
    byte(0xE0U | (code >> 12U));
    byte(0x80U | ((code >> 6U) & 0x3FU));
    byte(0x80U | (code & 0x3FU));
  } else {
    byte(0xF0U | (code >> 18U));
    byte(0x80U | ((code >> 12U) & 0x3FU));
    byte(0x80U | ((code >> 6U) & 0x3FU));
    byte(0x80U | (code & 0x3FU));
  }
}

// The four hex digits after "\u"; above 0xFFFF if there are none.
unsigned code_unit(std::string_view text) {
  unsigned value = 0;
  if (text.size() < 6 || text[0] != '\\' || text[1] != 'u') return 0x10000;
  const auto [end, error] = std::from_chars(text.data() + 2, text.data() + 6, value, 16);
  return error == std::errc() && end == text.data() + 6 ? value : 0x10000;
}

char short_escape(char c) {
  switch (c) {
    case 'b': return '\b';
    case 'f': return '\f';
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    default: return c;
  }
}

}  // namespace

std::string unescape(std::string_view escaped) {
  std::string out;
  out.reserve(escaped.size());
  while (!escaped.empty()) {
    const auto plain = escaped.substr(0, escaped.find('\\'));
    out += plain;
    escaped.remove_prefix(plain.size());
    if (escaped.size() < 2) break;
    unsigned code = code_unit(escaped);
    if (code > 0xFFFF) {
      out += short_escape(escaped[1]);
      escaped.remove_prefix(2);
      continue;
    }
    escaped.remove_prefix(6);
    if (code >= 0xD800 && code <= 0xDBFF) {
      const unsigned low = code_unit(escaped);
      if (low >= 0xDC00 && low <= 0xDFFF) {
        code = 0x10000U + ((code - 0xD800U) << 10U) + (low - 0xDC00U);
        escaped.remove_prefix(6);
      }
    }
    // Half a surrogate pair is not a character; JavaScript writes such strings all the same.
    append_utf8(out, code >= 0xD800 && code <= 0xDFFF ? 0xFFFD : code);
  }
  return out;
}

}  // namespace perdure::codec
