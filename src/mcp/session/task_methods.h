#pragma once

#include "mcp/service/tool.h"

namespace perdure::mcp {

class Watch;

// A task in the form of the two generations of MCP. A task id is Perdure's own, so that it is valid in every process on
// this session, and for the tools.

/// The members that every answer of the extension contains: taskId, status, times, ttlMs, pollIntervalMs.
[[nodiscard]] json::object extension_task(const Task& task);
/// The same with result, error or inputRequests, depending on the status.
[[nodiscard]] json::object detailed_task(Service& service, const Caller& caller, const Task& task);
/// The task in the form of 2025-11-25, where a tool's own failure is `failed`.
[[nodiscard]] json::object legacy_task(const Task& task);

/// The task as it was when it was made. It may have ended since; clients expect a result only from tasks/get.
[[nodiscard]] Task as_created(Task task);

/// tasks/* of the request's era. Absent: the era has no such method.
[[nodiscard]] std::optional<Reply> answer_task_method(Service& service, Request& request);

}  // namespace perdure::mcp
