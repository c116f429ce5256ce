#pragma once

#include "store/session.h"
#include <perdure/task.h>

#include <vector>

namespace perdure::manager {

struct Remains {
  std::vector<ProcessIdentity> processes;
  int unread = 0;  ///< processes of this user that could not be looked at
};

/// Living processes of a task whose runner is gone: those that carry its mark in their environment, those of the kernel
/// session that its runner led, and what is below them (L52). Runners of other tasks and what is below those are left
/// out.
[[nodiscard]] Remains find_remains(const store::Session& session, const Task& task);

/// Kills them, waiting for each, until none is found any more; at most about 5 s. The survivors.
std::vector<ProcessIdentity> end_remains(const store::Session& session, const Task& task);

}  // namespace perdure::manager
