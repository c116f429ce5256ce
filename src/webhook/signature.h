#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace perdure::webhook {

/// "sha256=" and, in hex, HMAC-SHA256 under `secret` of the time in decimal, a dot and the body. The time is signed,
/// too, so that a recorded delivery can't be replayed later.
[[nodiscard]] std::string signature(std::string_view secret, std::int64_t unix_seconds, std::string_view body);

}  // namespace perdure::webhook
