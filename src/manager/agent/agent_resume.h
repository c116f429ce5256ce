#pragma once

#include "base/fd.h"
#include "store/session.h"
#include <perdure/agent.h>

namespace perdure::manager {

/// The conversation that is to go on, and the right to go on with it until the lock is let go.
struct Conversation {
  Task last;  ///< its latest turn
  Fd lock;
};
/// Settles turns that have ended unseen. Errors: agent_not_found, agent_not_owned, agent_busy, usage (perdure/manager.h).
[[nodiscard]] Result<Conversation> take_up(TaskManager& manager, const store::Session& session,
                                           const AgentOptions& options);

}  // namespace perdure::manager
