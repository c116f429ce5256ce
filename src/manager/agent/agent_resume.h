#pragma once

#include "base/fd.h"
#include "store/session.h"
#include <perdure/agent.h>

namespace perdure::manager {

/// The conversation to resume, and a lock that keeps others from resuming it.
struct Conversation {
  Task last;  ///< its latest turn
  Fd lock;
};
/// Settles turns that ended without being recorded. Errors: agent_not_found, agent_not_owned, agent_busy, usage
/// (perdure/manager.h).
[[nodiscard]] Result<Conversation> take_up(TaskManager& manager, const store::Session& session,
                                           const AgentOptions& options);

}  // namespace perdure::manager
