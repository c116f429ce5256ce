#pragma once

#include "jsonrpc/message.h"

#include <optional>
#include <string_view>

namespace perdure::acp {

/// One line of an agent as a message; nothing where it is none. Takes more than jsonrpc does, and no more than agents
/// were given leave to send: params of a method that is no object (ACP: `params?: any | null` of extensions) count as
/// none, half a surrogate pair and bytes that are no UTF-8 become U+FFFD, and values may be 256 levels deep.
[[nodiscard]] std::optional<jsonrpc::Message> read_line(std::string_view line);

}  // namespace perdure::acp
