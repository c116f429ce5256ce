#include "runner/control/json_text.h"

namespace runner {
namespace {

bool is_hex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

}  // namespace

bool is_id(std::string_view text) {
  if (text.empty() || text.size() > 64) return false;
  for (const char c : text)
    if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || c == '-')) return false;
  return true;
}

bool is_members(std::string_view text) {
  if (text.size() < 2 || text.front() != '"') return false;
  int depth = 0;
  bool in_string = false;
  for (unsigned long i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x20 || c >= 0x7F) return false;
    if (in_string) {
      if (c == '\\') ++i;
      if (c == '"') in_string = false;
      continue;
    }
    in_string = c == '"';
    depth += c == '{' || c == '[' ? 1 : c == '}' || c == ']' ? -1 : 0;
    if (depth < 0) return false;
  }
  return depth == 0 && !in_string;
}

bool is_escaped_json(std::string_view text) {
  for (unsigned long i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c < 0x20 || c >= 0x7F || c == '"') return false;
    if (c != '\\') continue;
    if (++i == text.size()) return false;
    const char escaped = text[i];
    if (escaped == 'u') {
      if (i + 4 > text.size() - 1) return false;
      for (int k = 1; k <= 4; ++k)
        if (!is_hex(text[i + static_cast<unsigned long>(k)])) return false;
      i += 4;
    } else if (std::string_view("\"\\/bfnrt").find(escaped) == std::string_view::npos) {
      return false;
    }
  }
  return true;
}

}  // namespace runner
