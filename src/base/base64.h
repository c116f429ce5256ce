#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace perdure {

/// RFC 4648, with padding.
[[nodiscard]] std::string base64_of(std::string_view bytes);

/// Absent: the text is not base64 with padding.
[[nodiscard]] std::optional<std::string> bytes_of_base64(std::string_view text);

}  // namespace perdure
