#include "cli/start/detach_keys.h"

#include "base/error.h"
#include "cli/console/text.h"

#include <fmt/format.h>

#include <utility>

namespace perdure::cli {

Result<char> parse_detach_keys(std::string_view text) {
  if (text == "none") return '\0';
  constexpr std::string_view kPrefix = "ctrl-";
  const char key = text.size() == kPrefix.size() + 1 && text.starts_with(kPrefix) ? text.back() : '\0';
  const char upper = key >= 'a' && key <= 'z' ? static_cast<char>(key - 'a' + 'A') : key;
  if (upper < '@' || upper > '_')
    return fail(ErrorCode::usage,
                fmt::format("--detach-keys: '{}' is not of the form ctrl-X: write ctrl-\\, ctrl-] or none",
                            harmless_line(text)));
  if (upper == 'C' || upper == 'Z')
    return fail(ErrorCode::usage, fmt::format("--detach-keys: {} has a meaning already: choose another key", text));
  return static_cast<char>(upper - '@');
}

int DetachKeys::length_of(char control) const {
  if (held_.front() == control) return 1;
  if (held_.front() != '\x1b') return 0;
  // A key with ctrl as the kitty protocol and modifyOtherKeys encode it: by its lower-case character.
  const char upper = static_cast<char>(control + '@');
  const int code = upper >= 'A' && upper <= 'Z' ? upper - 'A' + 'a' : upper;
  for (const std::string& form : {fmt::format("\x1b[{};5u", code), fmt::format("\x1b[27;5;{}~", code)}) {
    if (held_.starts_with(form)) return static_cast<int>(form.size());
    if (form.starts_with(held_)) return -1;
  }
  return 0;
}

DetachKeys::Wish DetachKeys::take(std::string_view bytes, std::string& to_task) {
  constexpr char kSuspend = 26;
  held_ += bytes;
  while (!held_.empty()) {
    const int key = key_ == 0 ? 0 : length_of(key_);
    if (key < 0) return Wish::none;
    if (!pressed_ && key > 0) {
      pressed_ = true;
      held_.erase(0, static_cast<std::size_t>(key));
      continue;
    }
    if (!pressed_) {
      to_task += held_.front();
      held_.erase(0, 1);
      continue;
    }
    const int suspend = length_of(kSuspend);
    if (suspend < 0) return Wish::none;
    pressed_ = false;
    if (held_.front() == 'd' || suspend > 0) {
      const Wish wish = suspend > 0 ? Wish::suspend : Wish::detach;
      held_.erase(0, suspend > 0 ? static_cast<std::size_t>(suspend) : 1);
      return wish;
    }
    to_task += key_;
    if (key > 0) held_.erase(0, static_cast<std::size_t>(key));
  }
  return Wish::none;
}

DetachKeys::Wish DetachKeys::passed(std::string& to_task) {
  if (pressed_ && held_.empty()) {
    pressed_ = false;
    return Wish::detach;
  }
  if (std::exchange(pressed_, false)) to_task += key_;
  to_task += std::exchange(held_, {});
  return Wish::none;
}

}  // namespace perdure::cli
