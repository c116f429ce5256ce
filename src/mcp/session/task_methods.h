#pragma once

#include "mcp/service/tool.h"

namespace perdure::mcp {

class Watch;

// A task as the two generations of MCP see it. A task id is Perdure's own, so that it means the same in every
// process over this session, and for the tools.

/// The members that every answer of the extension shares: taskId, status, times, ttlMs, pollIntervalMs.
[[nodiscard]] json::object extension_task(const Task& task);
/// The same with result, error or inputRequests, by status.
[[nodiscard]] json::object detailed_task(Service& service, const Caller& caller, const Task& task);
/// The task of 2025-11-25, where a tool's own failure is `failed`.
[[nodiscard]] json::object legacy_task(const Task& task);

/// The task as it was when it was made. A quick one may have ended since; clients look for a result only in tasks/get.
[[nodiscard]] Task as_created(Task task);

/// tasks/* of the request's era. Absent: no such method there.
[[nodiscard]] std::optional<Reply> answer_task_method(Service& service, Request& request);

}  // namespace perdure::mcp
