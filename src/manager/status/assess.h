#pragma once

#include "store/session.h"
#include <perdure/manager.h>

namespace perdure::manager {

/// What is known of one task, and the evidence for it.
struct Assessment {
  Task task;              ///< as it is now; equal to the record where the record is right
  bool settles = false;   ///< `task` differs from the record, and reconcile may write it
  bool is_own = false;    ///< run by Perdure: the lock and the notes of its runner are evidence
  std::string explained;  ///< the evidence, for people
};

/// Judges by the lock, the notes and the processes, never by the record alone (L39). Writes nothing. A terminal record
/// is returned unchanged. The record is read again if its runner has ended since `recorded` was read.
[[nodiscard]] Result<Assessment> assess(const store::Session& session, Task recorded);

/// The same for a task of Perdure's that has no runner any more, as the caller knows since it holds the task's lock.
[[nodiscard]] Result<Assessment> assess_without_runner(const store::Session& session, Task recorded);

/// Was this record written by a Perdure runner?
[[nodiscard]] bool is_own_record(const store::Session& session, const Task& task);

/// The process that another program's record names, if it is verified to be that process.
[[nodiscard]] std::optional<ProcessIdentity> live_foreign_process(const Task& task);

}  // namespace perdure::manager
