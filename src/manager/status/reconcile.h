#pragma once

#include "manager/link/telemetry.h"
#include "store/runner_lock.h"
#include "store/session.h"
#include <perdure/manager.h>

namespace perdure::manager {

/// Settles one task of ours whose runner is gone: ends what is left of it and commits what can be proven. A task that
/// is alive, or that somebody else is settling, is returned as it is.
[[nodiscard]] Result<ReconcileResult> settle_own(const store::Session& session, const Task& recorded,
                                                 Telemetry& telemetry, bool assume_lost = false);

/// Announces the end of a task whose lock is held, writes its terminal record, and lets go of it.
[[nodiscard]] Result<> commit_end(const store::Session& session, Task& task, store::RunnerLock& lock,
                                  Telemetry& telemetry);

/// Settles one task of another program, on a person's word (`reconcile`, `stop`).
[[nodiscard]] Result<ReconcileResult> settle_foreign(const store::Session& session, const Task& recorded,
                                                     bool assume_lost, Telemetry& telemetry);

}  // namespace perdure::manager
