#pragma once

#include "manager/agent/agent_side.h"
#include <perdure/manager.h>

// `perdure acp-drive`: one turn of one agent, as the command of a subagent's task (docs/guide/agents.md).
namespace perdure::acp {

/// Returns the exit status: 0 for a turn that completed. Ends on SIGTERM, or when the task's runner has gone, as soon as
/// the agent has ended its turn. Called once, before there is any thread.
[[nodiscard]] int drive(TaskManager& manager, manager::AgentSide& side);

}  // namespace perdure::acp
