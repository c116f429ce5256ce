#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace perdure {

[[nodiscard]] bool is_valid_utf8(std::string_view bytes);

/// The text with every byte that is not part of a valid character replaced by U+FFFD.
[[nodiscard]] std::string to_valid_utf8(std::string_view bytes);

/// The same, with all characters replaced by U+FFFD that a terminal or an XML parser could interpret: control
/// characters (C0, DEL, C1) and those that XML forbids. If lines are kept, a line end of any kind becomes '\n', else a
/// blank; a tab stays, or becomes a blank.
[[nodiscard]] std::string to_plain_text(std::string_view bytes, bool keep_lines);

/// How many bytes at the start of `bytes` belong to a character that began before them (0 to 3).
[[nodiscard]] std::size_t continuation_prefix(std::string_view bytes);

/// How many bytes at the end of `bytes` belong to an incomplete character (0 to 3).
[[nodiscard]] std::size_t incomplete_suffix(std::string_view bytes);

}  // namespace perdure
