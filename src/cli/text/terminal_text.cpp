#include "cli/text/terminal_text.h"

#include "base/utf8.h"
#include "cli/console/text.h"

#include <algorithm>

namespace perdure::cli {
namespace {

constexpr std::size_t kLongestSequence = 64;
constexpr std::size_t kLongestLine = 65'536;  // a longer line is shown in parts

enum class Sequence { none, incomplete, colour, erase_line };

// Parses the sequence at the start of `text`, which begins with ESC.
Sequence look_at_sequence(std::string_view text, std::size_t& length) {
  if (text.size() < 2) return Sequence::incomplete;
  if (text[1] != '[') return Sequence::none;
  for (length = 2; length < text.size() && length < kLongestSequence; ++length) {
    const char c = text[length];
    if ((c >= '0' && c <= '9') || c == ';' || c == ':') continue;
    ++length;
    return c == 'm' ? Sequence::colour : c == 'K' ? Sequence::erase_line : Sequence::none;
  }
  return length >= kLongestSequence ? Sequence::none : Sequence::incomplete;
}

}  // namespace

std::string TerminalText::take(std::string_view bytes) {
  held_ += bytes;
  std::string out;
  while (!held_.empty() && take_one(out)) {
  }
  if (live_) show_growth(out);
  return out;
}

// False: it is incomplete.
bool TerminalText::take_one(std::string& out) {
  const char c = held_.front();
  if (c == '\r') {
    returned_ = true;
    held_.erase(0, 1);
    return true;
  }
  if (c == '\n') {
    returned_ = false;
    held_.erase(0, 1);
    end_line(out);
    return true;
  }
  std::size_t length = 0;
  const Sequence sequence = c == '\x1b' ? look_at_sequence(held_, length) : Sequence::none;
  if (sequence == Sequence::incomplete) return false;
  if (sequence == Sequence::erase_line) {  // overwriting erases the line in any case
    held_.erase(0, length);
    return true;
  }
  if (returned_) {  // overwritten
    returned_ = false;
    if (live_ && shown_ > 0) out += "\r\033[K";
    line_.clear();
    shown_ = 0;
  }
  if (sequence == Sequence::colour) {
    if (colours_) line_.append(held_, 0, length);
    const std::string_view codes = std::string_view(held_).substr(2, length - 3);
    coloured_ = colours_ && !codes.empty() && codes != "0";
    held_.erase(0, length);
    return true;
  }
  const std::size_t next = c == '\x1b' ? 1 : std::min(held_.find_first_of("\r\n\x1b"), held_.size());
  std::string_view text = std::string_view(held_).substr(0, next);
  const std::size_t whole = next < held_.size() ? next : next - incomplete_suffix(text);
  if (whole == 0) return false;
  line_ += harmless_text(text.substr(0, whole));
  held_.erase(0, whole);
  if (line_.size() > kLongestLine) {
    out += std::string_view(line_).substr(shown_);
    line_.clear();
    shown_ = 0;
  }
  return true;
}

void TerminalText::end_line(std::string& out) {
  out += std::string_view(line_).substr(shown_);
  if (coloured_) out += "\033[0m";  // a colour ends with its line, as the next prompt needs it
  coloured_ = false;
  out += '\n';
  line_.clear();
  shown_ = 0;
}

void TerminalText::show_growth(std::string& out) {
  out += std::string_view(line_).substr(shown_);
  shown_ = line_.size();
}

std::string TerminalText::finish() {
  std::string out;
  if (!held_.empty()) line_ += harmless_text(held_);
  held_.clear();
  out += std::string_view(line_).substr(shown_);
  if (coloured_) out += "\033[0m";
  line_.clear();
  shown_ = 0;
  return out;
}

}  // namespace perdure::cli
