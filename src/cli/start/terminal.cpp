#include "cli/start/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <fmt/format.h>

#include <charconv>
#include <utility>

namespace perdure::cli {
namespace {

constexpr std::size_t kLongest = 256;  // an escape sequence; a string sequence may be longer

// The length of the escape sequence at the start of `text`, 0 while it is incomplete. `text` starts with ESC.
std::size_t length_of_sequence(std::string_view text) {
  if (text.size() < 2) return 0;
  const char kind = text[1];
  if (kind == '[') {
    for (std::size_t i = 2; i < text.size(); ++i)
      if (text[i] >= '@' && text[i] <= '~') return i + 1;
    return text.size() > kLongest ? 1 : 0;
  }
  if (kind == ']' || kind == 'P' || kind == '_' || kind == '^') {  // strings: to BEL or ESC backslash
    for (std::size_t i = 2; i < text.size(); ++i) {
      if (text[i] == '\a') return i + 1;
      if (text[i] == '\x1b' && i + 1 < text.size()) return text[i + 1] == '\\' ? i + 2 : i;
    }
    return 0;
  }
  return 2;
}

}  // namespace

std::optional<TerminalSize> size_of_terminal() {
  for (const int fd : {STDOUT_FILENO, STDERR_FILENO, STDIN_FILENO})
    if (winsize size{}; ::ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0)
      return TerminalSize{.rows = size.ws_row, .columns = size.ws_col};
  return std::nullopt;
}

bool has_terminal_input() {
  return ::isatty(STDIN_FILENO) == 1 && ::tcgetpgrp(STDIN_FILENO) == ::getpgrp();
}

void TerminalModes::set(std::string_view numbers, bool on) {
  while (!numbers.empty()) {
    const auto word = numbers.substr(0, numbers.find(';'));
    int number = 0;
    std::from_chars(word.data(), word.data() + word.size(), number);
    modes_[number] = on;
    numbers.remove_prefix(std::min(numbers.size(), word.size() + 1));
  }
}

void TerminalModes::see(std::string_view output) {
  held_ += output;
  std::size_t at = 0;
  while ((at = held_.find('\x1b', at)) != std::string::npos) {
    const std::string_view rest = std::string_view(held_).substr(at);
    const std::size_t length = length_of_sequence(rest);
    if (length == 0) break;
    const std::string_view sequence = rest.substr(0, length);
    at += length;
    if (!sequence.starts_with("\x1b[") || sequence.size() < 3) continue;
    changed_ = true;
    const std::string_view inside = sequence.substr(2, sequence.size() - 3);
    const char end = sequence.back();
    if (inside.starts_with('?') && (end == 'h' || end == 'l')) set(inside.substr(1), end == 'h');
    if (end == 'u' && inside.starts_with('>')) ++keyboard_levels_;
    if (end == 'u' && inside.starts_with('<') && keyboard_levels_ > 0) --keyboard_levels_;
  }
  held_.erase(0, at == std::string::npos ? held_.size() : at);
  if (held_.size() > kLongest * 64) held_.clear();
}

std::string TerminalModes::undo() const {
  if (!changed_) return "";
  std::string text;
  for (const auto& [number, on] : modes_) {
    if (number == 25 || number == 7) {  // a shell expects a visible cursor and wrapping
      if (!on) text += fmt::format("\x1b[?{}h", number);
    } else if (on && number != 12) {
      text += fmt::format("\x1b[?{}l", number);
    }
  }
  if (keyboard_levels_ > 0) text += fmt::format("\x1b[<{}u", keyboard_levels_);
  return text + "\x1b[0m";
}

TerminalSettings::TerminalSettings() : is_terminal_(::tcgetattr(STDIN_FILENO, &before_) == 0) {}

void TerminalSettings::apply(const termios& wanted) {
  // In a background job of the shell this call would stop the process; a background job gets no keys either.
  if (is_terminal_ && has_terminal_input()) changed_ = ::tcsetattr(STDIN_FILENO, TCSADRAIN, &wanted) == 0 || changed_;
}

void TerminalSettings::make_raw() {
  termios raw = before_;
  ::cfmakeraw(&raw);
  apply(raw);
}

void TerminalSettings::set_quit_key(char key) {
  termios changed = before_;
  changed.c_cc[VQUIT] = key == 0 ? static_cast<cc_t>(_POSIX_VDISABLE) : static_cast<cc_t>(key);
  apply(changed);
}

void TerminalSettings::restore() {
  if (std::exchange(changed_, false)) ::tcsetattr(STDIN_FILENO, TCSADRAIN, &before_);
}

std::string WatchFilter::take(std::string_view bytes) {
  held_ += bytes;
  std::string out;
  while (!held_.empty()) {
    const std::size_t at = std::min(held_.find('\x1b'), held_.size());
    out.append(held_, 0, at);
    held_.erase(0, at);
    if (held_.empty()) break;
    const std::size_t length = length_of_sequence(held_);
    if (length == 0) {
      if (held_.size() > (1U << 20U)) held_.clear();
      break;
    }
    const char kind = held_[1];
    const char end = held_[length - 1];
    const bool is_string = kind == ']' || kind == 'P' || kind == '_' || kind == '^';
    const bool asks =
        kind == 'Z' || (kind == '[' && (end == 'c' || end == 'n' || end == 'p' || end == 't' || end == 'x'));
    if (!is_string && !asks) out.append(held_, 0, length);
    held_.erase(0, length);
  }
  return out;
}

}  // namespace perdure::cli
