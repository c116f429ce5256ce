#pragma once

#include "mcp/service/tool.h"

namespace perdure::mcp {

// How news of ended tasks reaches their owner over MCP (rules L32, L33). What an answer tells is acknowledged once the
// answer is written, never before: a client that is gone has heard nothing.

/// These outcomes are part of the answer to a request. Tasks of other owners are left out: a look by somebody else is
/// no delivery.
void note_delivered(Service& service, Request& request, const std::vector<Task>& tasks);

/// Puts the caller's undelivered news behind what a tool has to say. Once: nobody else delivers it meanwhile.
void add_news(Service& service, Request& request, ToolResult& result);

}  // namespace perdure::mcp
