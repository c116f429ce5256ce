#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace perdure {

[[nodiscard]] bool is_valid_utf8(std::string_view bytes);

/// The text with every byte that is part of no valid character replaced by U+FFFD.
[[nodiscard]] std::string to_valid_utf8(std::string_view bytes);

/// How many bytes at the start of `bytes` belong to a character that began before it (0 to 3).
[[nodiscard]] std::size_t continuation_prefix(std::string_view bytes);

/// How many bytes at the end of `bytes` are the beginning of a character that is not complete (0 to 3).
[[nodiscard]] std::size_t incomplete_suffix(std::string_view bytes);

}  // namespace perdure
