#pragma once

#include <perdure/error.h>

#include <string>
#include <string_view>

namespace perdure::cli {

/// The control character of `ctrl-X`; 0 for `none`. Errors: usage.
[[nodiscard]] Result<char> parse_detach_keys(std::string_view text);

/// Finds the detach key in the input from a raw terminal (I03), also in the encodings of newer terminals and when two
/// reads split it. KEY d, or KEY and nothing for 500 ms: detach. KEY ctrl-z: suspend. KEY KEY: the key itself, once.
/// Pure.
class DetachKeys {
 public:
  enum class Wish { none, detach, suspend };

  explicit DetachKeys(char key) : key_(key) {}

  /// Appends the bytes for the task to `to_task`. Bytes after a detach or suspend key are kept for the next call.
  [[nodiscard]] Wish take(std::string_view bytes, std::string& to_task);
  /// How long to wait for more input before calling passed(); below 0: for ever.
  [[nodiscard]] int patience_ms() const { return pressed_ ? kPatienceMs : held_.empty() ? -1 : kEscapeMs; }
  /// Call when no more input came in time.
  [[nodiscard]] Wish passed(std::string& to_task);

 private:
  static constexpr int kPatienceMs = 500, kEscapeMs = 50;
  // The length of this control character at the beginning of held_; 0: it is something else; -1: more bytes are needed.
  [[nodiscard]] int length_of(char control) const;

  char key_;
  bool pressed_ = false;
  std::string held_;
};

}  // namespace perdure::cli
