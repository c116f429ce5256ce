#pragma once

#include "store/session.h"
#include <perdure/manager.h>

namespace perdure::manager {

/// What can be said of one task, and what it rests on.
struct Assessment {
  Task task;              ///< as it is; equal to the record where that holds
  bool settles = false;   ///< differs from the record: reconcile may write it
  bool is_own = false;    ///< run by Perdure: its runner's lock and notes prove things
  std::string explained;  ///< in words
};

/// Looks at the proof, never at the record alone (L39). Writes nothing. A terminal record is returned as it is.
/// A task whose runner has ended since `recorded` was read is read again.
[[nodiscard]] Result<Assessment> assess(const store::Session& session, Task recorded);

/// The same for a task of ours of which it is known that no runner has it any more: the caller holds its lock.
[[nodiscard]] Result<Assessment> assess_without_runner(const store::Session& session, Task recorded);

/// Was this record written by a runner of ours?
[[nodiscard]] bool is_own_record(const store::Session& session, const Task& task);

/// A process of another program that the record names and that was verified to be it; absent: none.
[[nodiscard]] std::optional<ProcessIdentity> live_foreign_process(const Task& task);

}  // namespace perdure::manager
