#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace perdure {

/// Output of a program for a reader without a terminal (a model), and what was left out of it.
struct Readable {
  std::string text;           ///< valid UTF-8
  std::int64_t redraws = 0;   ///< earlier states of lines that were redrawn with carriage returns
  std::int64_t repeats = 0;   ///< lines that equal the line before them
  bool lost_escapes = false;  ///< colours or other escape sequences were removed
  /// True if something other than escape sequences is missing from `text`.
  [[nodiscard]] bool is_collapsed() const { return redraws > 0 || repeats > 0; }
};

/// Removes escape sequences, keeps the last state of a line redrawn with carriage returns, applies backspaces, shows
/// other control characters as pictures (U+2400 on), and replaces repetitions of a line by their number if that is
/// shorter.
[[nodiscard]] Readable make_readable(std::string_view bytes);

/// "19,999 redraws and 3 repeated lines"; "" if nothing was collapsed.
[[nodiscard]] std::string collapsed_words(const Readable& readable);

/// The end of a text, at most `most` bytes: from a line start if one is near, else from a character boundary.
[[nodiscard]] std::string_view end_of(std::string_view text, std::size_t most);

/// The line of a log that most likely names the cause of a failure, trimmed: the last one that matches a pattern of a
/// cause ("error:", "FAILED", "panic", "Traceback", ...), else the last one that sums up ("BUILD FAILED"). "" if none
/// matches. A hint where to look; it does not say whether the task failed (V23). Expects readable text.
[[nodiscard]] std::string_view failure_line(std::string_view text);

/// "12,345".
[[nodiscard]] std::string grouped(std::int64_t number);

/// "now", "12 s ago", "5 min ago", "3 h ago", "2 d ago".
[[nodiscard]] std::string ago(std::int64_t ms);

}  // namespace perdure
