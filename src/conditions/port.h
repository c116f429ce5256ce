#pragma once

#include <perdure/error.h>

#include <chrono>
#include <cstdint>
#include <string_view>

namespace perdure::conditions {

/// How often to look: a port that is not open yet has no event that could be waited for.
inline constexpr std::chrono::milliseconds kPortEvery{100};

/// "tcp:8080". Errors: usage.
[[nodiscard]] Result<std::uint16_t> parse_port(std::string_view where);

/// Does this machine's port accept a connection, over IPv4 or IPv6?
[[nodiscard]] bool is_port_open(std::uint16_t port);

}  // namespace perdure::conditions
