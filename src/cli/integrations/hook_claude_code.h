#pragma once

#include "cli/console/call.h"

namespace perdure::cli {

/// `perdure hook claude-code stop|rewake|prompt|session-start|precompact`: the output of Claude Code's hooks
/// (docs/reference/mcp.md).
[[nodiscard]] Result<int> hook_claude_code(Call& call);

}  // namespace perdure::cli
