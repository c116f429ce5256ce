#pragma once

#include "http/exchange.h"
#include "mcp/protocol/protocol.h"

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace perdure::mcp {

/// An argument of a tool that its caller repeats in a header, Mcp-Param-NAME.
struct MirroredArgument {
  std::string header, argument;
};

/// What is wrong with the headers of a modern request: each must say what the body says, so that whoever routes by
/// headers can't be deceived. -32020, or absent.
[[nodiscard]] std::optional<Fault> header_fault(const http::Request& http, const jsonrpc::Message& message,
                                                std::span<const MirroredArgument> mirrored);

/// The status that goes with an answer of the modern era.
[[nodiscard]] int modern_status(const Fault& fault);

}  // namespace perdure::mcp
