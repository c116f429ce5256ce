#pragma once

#include "store/session.h"
#include <perdure/task.h>

#include <vector>

namespace perdure::manager {

struct Remains {
  std::vector<ProcessIdentity> processes;
  int unread = 0;  ///< processes of this user that could not be inspected
};

/// Living processes of a task whose runner is gone: those with its mark in their environment, those in the kernel
/// session that its runner led, and the descendants of both (L52). Runners of other tasks and their descendants are
/// excluded.
[[nodiscard]] Remains find_remains(const store::Session& session, const Task& task);

/// Kills them and waits for each, until a scan finds no more; at most about 5 s. Returns the survivors.
std::vector<ProcessIdentity> end_remains(const store::Session& session, const Task& task);

}  // namespace perdure::manager
