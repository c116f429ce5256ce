#pragma once

#include "mcp/protocol/client.h"
#include <perdure/manager.h>

#include <chrono>
#include <string>
#include <string_view>

namespace perdure::mcp {

/// The value in a record that means that the owner polls the task by the extension (Task::delivered_by).
inline constexpr std::string_view kDeliveredByTasks = "tasks";

/// For how long these notifications are still left to the owner's polling, which acknowledges them; 0: every channel
/// may deliver them.
[[nodiscard]] std::chrono::milliseconds left_to_polling(const TaskManager& manager, const Notification& news);

/// A notification for a model, as an element (notification_xml) that names the tools for the next steps.
[[nodiscard]] std::string news_xml(const Notification& news, const Caller& caller);

/// The same for structured content, in at most 700 characters of JSON: source_id, status, exitCode, a summary, and the
/// last lines.
[[nodiscard]] json::object news_members(const Notification& news, const Caller& caller);

}  // namespace perdure::mcp
