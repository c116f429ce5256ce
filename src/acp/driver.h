#pragma once

#include "manager/agent/agent_side.h"
#include <perdure/manager.h>

// `perdure acp-drive`: one turn of one agent. It is the command of a subagent's task (docs/guide/agents.md).
namespace perdure::acp {

/// Returns the exit status: 0 for a turn that completed. At SIGTERM, or when the task's runner has exited, it returns
/// as soon as the agent has ended its turn. Call once, before any thread exists.
[[nodiscard]] int drive(TaskManager& manager, manager::AgentSide& side);

}  // namespace perdure::acp
