#pragma once

#include <perdure/error.h>

#include <string>
#include <string_view>

namespace perdure::cli {

/// The control character of `ctrl-X`; 0 for `none`. Errors: usage.
[[nodiscard]] Result<char> parse_detach_keys(std::string_view text);

/// Finds the detach key in what is typed on a raw terminal (I03), also as newer terminals encode it and when two reads split
/// it. KEY d, or KEY and nothing for 500 ms: detach. KEY ctrl-z: suspend. KEY KEY: the key itself, once. Pure.
class DetachKeys {
 public:
  enum class Wish { none, detach, suspend };

  explicit DetachKeys(char key) : key_(key) {}

  /// Adds to `to_task` what is for the task. What follows a wish is kept.
  [[nodiscard]] Wish take(std::string_view bytes, std::string& to_task);
  /// How long to wait for more before calling passed(); below 0: as long as it takes.
  [[nodiscard]] int patience_ms() const { return pressed_ ? kPatienceMs : held_.empty() ? -1 : kEscapeMs; }
  /// Nothing more came in time.
  [[nodiscard]] Wish passed(std::string& to_task);

 private:
  static constexpr int kPatienceMs = 500, kEscapeMs = 50;
  // How many bytes at the beginning of held_ are this control character; 0: it is something else; -1: not known yet.
  [[nodiscard]] int length_of(char control) const;

  char key_;
  bool pressed_ = false;
  std::string held_;
};

}  // namespace perdure::cli
