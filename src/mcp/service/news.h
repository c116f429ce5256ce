#pragma once

#include "mcp/protocol/client.h"
#include <perdure/manager.h>

#include <chrono>
#include <string>
#include <string_view>

namespace perdure::mcp {

/// What a record says of a task whose owner polls it by the extension (Task::delivered_by).
inline constexpr std::string_view kDeliveredByTasks = "tasks";

/// How much longer the owner is left to hear of these ends by polling, which acknowledges them; 0: every channel may tell.
[[nodiscard]] std::chrono::milliseconds left_to_polling(const TaskManager& manager, const Notification& news);

/// A notification for a model, as an element (notification_xml) that names the tools to go on with.
[[nodiscard]] std::string news_xml(const Notification& news, const Caller& caller);

/// The same for structured content, in at most 700 characters of JSON: source_id, status, exitCode, what to know, and
/// the last lines.
[[nodiscard]] json::object news_members(const Notification& news, const Caller& caller);

}  // namespace perdure::mcp
