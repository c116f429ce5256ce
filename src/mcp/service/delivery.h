#pragma once

#include "mcp/service/tool.h"

namespace perdure::mcp {

// Delivers notifications to their owner over MCP (rules L32, L33). Those in an answer are acknowledged after the answer
// was written, never before: a client that has disconnected has received nothing.

/// The outcomes of these tasks are part of the answer. Tasks of other owners are left out: an answer to another client
/// is no delivery.
void note_delivered(Service& service, Request& request, const std::vector<Task>& tasks);

/// Appends the caller's undelivered notifications to a tool's result. Once: no other process delivers them meanwhile.
void add_news(Service& service, Request& request, ToolResult& result);

}  // namespace perdure::mcp
