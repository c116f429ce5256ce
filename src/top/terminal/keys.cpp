#include "top/terminal/keys.h"

#include "base/utf8.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>

namespace perdure::top {
namespace {

constexpr std::size_t kMostPasted = 1 << 20;
constexpr std::size_t kLongestSequence = 64;
constexpr std::string_view kPasteBegins = "\x1b[200~", kPasteEnds = "\x1b[201~";

// The common sequences, in addition to those of terminfo.
const std::vector<KeySequence>& common() {
  using enum Key::Name;
  static const std::vector<KeySequence> kCommon = {
      {"\x1b[A", up},   {"\x1b[B", down},     {"\x1b[C", right},      {"\x1b[D", left},    {"\x1bOA", up},
      {"\x1bOB", down}, {"\x1bOC", right},    {"\x1bOD", left},       {"\x1b[H", home},    {"\x1b[F", end},
      {"\x1bOH", home}, {"\x1bOF", end},      {"\x1b[1~", home},      {"\x1b[4~", end},    {"\x1b[7~", home},
      {"\x1b[8~", end}, {"\x1b[5~", page_up}, {"\x1b[6~", page_down}, {"\x1b[3~", remove}, {"\x1b[Z", back_tab},
      {"\x1bOM", enter}};
  return kCommon;
}

}  // namespace

KeyReader::KeyReader(std::vector<KeySequence> sequences) : sequences_(std::move(sequences)) {
  sequences_.insert(sequences_.end(), common().begin(), common().end());
}

std::vector<Key> KeyReader::take(bool no_more) {
  std::vector<Key> keys;
  while (!held_.empty() && take_one(keys, no_more)) {
  }
  return keys;
}

bool KeyReader::take_paste(std::vector<Key>& keys) {
  const auto end = held_.find(kPasteEnds);
  if (end == std::string::npos && held_.size() < kMostPasted) return false;
  const std::size_t length = std::min(end, held_.size());
  keys.push_back(
      {.name = Key::Name::text,
       .text = to_plain_text(std::string_view(held_).substr(kPasteBegins.size(), length - kPasteBegins.size()), true),
       .pasted = true});
  held_.erase(0, end == std::string::npos ? length : end + kPasteEnds.size());
  return true;
}

// Parses the sequence at the start of held_. False: it is incomplete.
bool KeyReader::take_escape(std::vector<Key>& keys, bool no_more) {
  if (held_.starts_with(kPasteBegins)) return take_paste(keys);
  for (const auto& [bytes, key] : sequences_) {
    if (!held_.starts_with(bytes)) continue;
    keys.push_back({.name = key, .text = {}});
    held_.erase(0, bytes.size());
    return true;
  }
  const bool introduced = held_.size() > 1 && (held_[1] == '[' || held_[1] == 'O');
  if (held_.size() == 1 || !introduced) {
    if (held_.size() == 1 && !no_more) return false;
    keys.push_back({.name = Key::Name::escape, .text = {}});
    held_.erase(0, 1);
    return true;
  }
  std::size_t end = 2;
  while (end < held_.size() && (held_[end] < 0x40 || held_[end] > 0x7e)) ++end;
  if (end == held_.size()) {
    if (!no_more && held_.size() < kLongestSequence) return false;
    held_.clear();
    return true;
  }
  const std::string_view body = std::string_view(held_).substr(2, end - 2);
  // The mouse: ESC [ < BUTTON ; COLUMN ; ROW M, or m when the button is released.
  if (body.starts_with('<') && held_[end] == 'M') {
    std::array<int, 3> numbers{};
    std::string_view rest = body.substr(1);
    for (int& number : numbers) {
      const auto part = rest.substr(0, rest.find(';'));
      std::from_chars(part.data(), part.data() + part.size(), number);
      rest.remove_prefix(std::min(rest.size(), part.size() + 1));
    }
    Key key{.name = Key::Name::click, .text = {}, .row = numbers[2] - 1, .column = numbers[1] - 1};
    if (numbers[0] == 64) key.name = Key::Name::wheel_up;
    if (numbers[0] == 65) key.name = Key::Name::wheel_down;
    if (numbers[0] == 0 || numbers[0] == 64 || numbers[0] == 65) keys.push_back(key);
  } else if (const auto semicolon = body.find(';'); semicolon != std::string_view::npos || body.empty()) {
    // With a modifier: "ESC [ 1 ; 5 A" is treated as the key without it.
    const std::string plain = std::string("\x1b[") +
                              std::string(body.substr(0, semicolon) == "1" ? "" : body.substr(0, semicolon)) +
                              held_[end];
    for (const auto& [bytes, key] : sequences_) {
      if (bytes != plain) continue;
      keys.push_back({.name = key, .text = {}});
      break;
    }
  }
  held_.erase(0, end + 1);
  return true;
}

bool KeyReader::take_one(std::vector<Key>& keys, bool no_more) {
  const char first = held_.front();
  using enum Key::Name;
  if (first == '\x1b') return take_escape(keys, no_more);
  const auto single = [&](Key::Name name, std::string text = {}) {
    keys.push_back({.name = name, .text = std::move(text)});
    held_.erase(0, 1);
    return true;
  };
  if (first == '\r' || first == '\n') return single(enter);
  if (first == '\t') return single(tab);
  if (first == '\x7f' || first == '\b') return single(backspace);
  if (static_cast<unsigned char>(first) < 0x20) return single(control, std::string(1, static_cast<char>(first + '`')));
  const auto lead = static_cast<unsigned char>(first);
  const std::size_t length = lead < 0x80 ? 1 : lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : lead >= 0xC2 ? 2 : 0;
  if (length == 0) {
    held_.erase(0, 1);
    return true;
  }
  if (held_.size() < length && !no_more) return false;
  std::string character = held_.substr(0, length);
  held_.erase(0, length);
  if (is_valid_utf8(character)) keys.push_back({.name = text, .text = std::move(character)});
  return true;
}

}  // namespace perdure::top
