#pragma once

#include "http/exchange.h"
#include "mcp/protocol/protocol.h"

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace perdure::mcp {

/// A tool's argument that the client repeats in a header, Mcp-Param-NAME.
struct MirroredArgument {
  std::string header, argument;
};

/// What is wrong with the headers of a modern request: each must agree with the body, so that a proxy that routes by
/// headers can't be deceived. -32020, or absent.
[[nodiscard]] std::optional<Fault> header_fault(const http::Request& http, const jsonrpc::Message& message,
                                                std::span<const MirroredArgument> mirrored);

/// The HTTP status for an answer of the modern era.
[[nodiscard]] int modern_status(const Fault& fault);

}  // namespace perdure::mcp
