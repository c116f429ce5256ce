#pragma once

#include "jsonrpc/message.h"

#include <optional>
#include <string_view>

namespace perdure::acp {

/// Parses one line of an agent as a message; absent if it is invalid. Accepts more than jsonrpc does, as agents need:
/// params that are not an object (ACP: `params?: any | null` of extensions) count as absent, half a surrogate pair and
/// bytes that are not UTF-8 become U+FFFD, and values may be 256 levels deep.
[[nodiscard]] std::optional<jsonrpc::Message> read_line(std::string_view line);

}  // namespace perdure::acp
