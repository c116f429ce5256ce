#pragma once

#include "base/words.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Text for people: sizes, times, widths. Pure; no I/O. base/words.h parses what they type.
namespace perdure::cli {

/// "0.4s", "12s", "3m 12s", "2h 5m", "4d 1h".
[[nodiscard]] std::string duration_text(std::int64_t ms);
/// "now", "12s ago", "3m ago", "2h ago", "5d ago".
[[nodiscard]] std::string age_text(std::int64_t ms);
/// Local time, "2026-11-23 07:15:02".
[[nodiscard]] std::string time_text(std::int64_t ms_since_epoch);

/// The columns of a text on a terminal: two for CJK and emoji, none for combining characters.
[[nodiscard]] std::size_t display_width(std::string_view utf8);
/// At most `columns` wide, with "…" at the end if it was cut; never cut within a character.
[[nodiscard]] std::string cut_to_width(std::string_view utf8, std::size_t columns);
/// The same with "…" in the middle, for names whose end matters, too.
[[nodiscard]] std::string cut_in_the_middle(std::string_view utf8, std::size_t columns);
/// The number of a signal, by name (INT, SIGINT, int) or number.
[[nodiscard]] std::optional<int> signal_number(std::string_view text);
/// One line that is harmless for a terminal: control characters, escape sequences and invalid bytes are replaced (L26).
[[nodiscard]] std::string harmless_line(std::string_view bytes);
/// The same for text of many lines: line ends and tabs stay.
[[nodiscard]] std::string harmless_text(std::string_view bytes);

/// Rows with aligned columns, separated by two blanks, without trailing blanks.
class Table {
 public:
  explicit Table(std::vector<std::string> head) : rows_{std::move(head)} {}
  void add(std::vector<std::string> cells) { rows_.push_back(std::move(cells)); }
  /// A line for each row. If a line would be wider than `columns`, the last column is cut; every other one but the
  /// first is cut in its middle to a third of them (I42); 0: never.
  [[nodiscard]] std::vector<std::string> lines(std::size_t columns) const;

 private:
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace perdure::cli
