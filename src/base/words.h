#pragma once

#include <perdure/error.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// What people write and read: durations, sizes, numbers, words that they meant. Pure; no I/O.
namespace perdure {

/// `500ms 30s 5m 2h 1d`, fractions allowed; a bare number is seconds. Errors: usage, naming the text.
[[nodiscard]] Result<std::chrono::milliseconds> parse_duration(std::string_view text);

/// `64KiB 16MiB 1GiB 1.5MiB`; a bare number is bytes. Errors: usage, naming the text.
[[nodiscard]] Result<std::int64_t> parse_size(std::string_view text);

/// A whole number in a range. Errors: usage, naming the text and the range.
[[nodiscard]] Result<std::int64_t> parse_integer(std::string_view text, std::int64_t least, std::int64_t most);

/// As parse_duration() reads it back, without loss: "30d", "90s", "5s", "250ms", "0".
[[nodiscard]] std::string exact_duration(std::chrono::milliseconds duration);

/// As parse_size() reads it back, without loss: "64MiB", "1000B", "0".
[[nodiscard]] std::string exact_size(std::int64_t bytes);

/// "0 B", "12.4 MiB".
[[nodiscard]] std::string size_text(std::int64_t bytes);

/// As a shell reads it back: quoted where that is needed.
[[nodiscard]] std::string shell_word(std::string_view word);

/// The id in one of the forms in which Perdure hands it out (L60): the id itself, "ID@SESSION", the id of a notification
/// ("task:ID:STATUS"), the address of a resource ("task://ID/output"). What has none of them is returned as it is.
[[nodiscard]] std::string_view id_in_reference(std::string_view text);

/// The one of `words` that is nearest to what was typed; "" when none is near.
[[nodiscard]] std::string nearest_word(std::string_view typed, const std::vector<std::string_view>& words);

}  // namespace perdure
