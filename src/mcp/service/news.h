#pragma once

#include "mcp/protocol/client.h"
#include <perdure/notification.h>

#include <string>

namespace perdure::mcp {

/// A notification for a model, as an element (notification_xml) that names the tools to go on with.
[[nodiscard]] std::string news_xml(const Notification& news, const Caller& caller);

/// The same for structured content, in at most 700 characters of JSON: source_id, status, exitCode, what to know, and
/// the last lines.
[[nodiscard]] json::object news_members(const Notification& news, const Caller& caller);

}  // namespace perdure::mcp
