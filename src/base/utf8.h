#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace perdure {

[[nodiscard]] bool is_valid_utf8(std::string_view bytes);

/// The text with every byte that is part of no valid character replaced by U+FFFD.
[[nodiscard]] std::string to_valid_utf8(std::string_view bytes);

/// The same, with nothing in it that a terminal or a parser of XML could take for more than text: control characters
/// (C0, DEL, C1) and what is no character in XML become U+FFFD. A line end of any kind becomes '\n' where lines are
/// kept, else a blank; a tab stays, or becomes a blank.
[[nodiscard]] std::string to_plain_text(std::string_view bytes, bool keep_lines);

/// How many bytes at the start of `bytes` belong to a character that began before it (0 to 3).
[[nodiscard]] std::size_t continuation_prefix(std::string_view bytes);

/// How many bytes at the end of `bytes` are the beginning of a character that is not complete (0 to 3).
[[nodiscard]] std::size_t incomplete_suffix(std::string_view bytes);

}  // namespace perdure
