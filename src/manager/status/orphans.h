#pragma once

#include "store/session.h"
#include <perdure/task.h>

#include <vector>

namespace perdure::manager {

/// Living processes of a task whose runner was killed: those that carry its marker in their environment, those of
/// the session its runner led, and what is below them. Runners of other tasks and what is below those are left out.
[[nodiscard]] std::vector<ProcessIdentity> find_remains(const store::Session& session, const Task& task);

/// Kills them, waiting for each, until none is found any more; at most about 5 s. The survivors.
std::vector<ProcessIdentity> end_remains(const store::Session& session, const Task& task);

}  // namespace perdure::manager
