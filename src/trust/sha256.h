#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

// SHA-256 (FIPS 180-4) and HMAC (RFC 2104). An implementation of its own, since the static command line would otherwise
// carry a library of some megabytes for this one function; the tests check it against the published vectors.
namespace perdure::trust {

using Digest = std::array<std::uint8_t, 32>;

[[nodiscard]] Digest sha256(std::string_view bytes);
[[nodiscard]] Digest hmac_sha256(std::string_view key, std::string_view message);

[[nodiscard]] std::string in_hex(const Digest& digest);

/// Constant time: independent of where the texts differ.
[[nodiscard]] bool equal_in_constant_time(std::string_view a, std::string_view b);

}  // namespace perdure::trust
