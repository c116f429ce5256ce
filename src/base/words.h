#pragma once

#include <perdure/error.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// Text that users type and read: durations, sizes, numbers, suggestions. Pure; no I/O.
namespace perdure {

/// `500ms 30s 5m 2h 1d`, fractions allowed; a bare number is seconds. Errors: usage, naming the text.
[[nodiscard]] Result<std::chrono::milliseconds> parse_duration(std::string_view text);

/// `64KiB 16MiB 1GiB 1.5MiB`; a bare number is bytes. Errors: usage, naming the text.
[[nodiscard]] Result<std::int64_t> parse_size(std::string_view text);

/// A whole number in a range. Errors: usage, naming the text and the range.
[[nodiscard]] Result<std::int64_t> parse_integer(std::string_view text, std::int64_t least, std::int64_t most);

/// The inverse of parse_duration(): "30d", "90s", "5s", "250ms", "0".
[[nodiscard]] std::string exact_duration(std::chrono::milliseconds duration);

/// The inverse of parse_size(): "64MiB", "1000B", "0".
[[nodiscard]] std::string exact_size(std::int64_t bytes);

/// "0 B", "12.4 MiB".
[[nodiscard]] std::string size_text(std::int64_t bytes);

/// Quoted for a shell if needed.
[[nodiscard]] std::string shell_word(std::string_view word);

/// The id in one of the forms in which Perdure prints it (L60): the id itself, "ID@SESSION", the id of a notification
/// ("task:ID:STATUS"), the address of a resource ("task://ID/output"). Text in another form is returned unchanged.
[[nodiscard]] std::string_view id_in_reference(std::string_view text);

/// The word of `words` most similar to `typed`; "" if none is similar.
[[nodiscard]] std::string nearest_word(std::string_view typed, const std::vector<std::string_view>& words);

}  // namespace perdure
