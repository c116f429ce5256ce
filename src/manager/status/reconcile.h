#pragma once

#include "manager/link/telemetry.h"
#include "store/runner_lock.h"
#include "store/session.h"
#include <perdure/manager.h>

namespace perdure::manager {

/// Settles one task of Perdure's whose runner is gone: ends its remaining processes and commits the outcome that can be
/// proven. A task that is alive, or that another process is settling, is returned unchanged.
[[nodiscard]] Result<ReconcileResult> settle_own(const store::Session& session, const Task& recorded,
                                                 Telemetry& telemetry, bool assume_lost = false);

/// Announces the end of a task whose lock the caller holds, writes its terminal record, and releases the lock.
[[nodiscard]] Result<> commit_end(const store::Session& session, Task& task, store::RunnerLock& lock,
                                  Telemetry& telemetry);

/// Settles one task of another program, because a person asked for it (`reconcile`, `stop`).
[[nodiscard]] Result<ReconcileResult> settle_foreign(const store::Session& session, const Task& recorded,
                                                     bool assume_lost, Telemetry& telemetry);

}  // namespace perdure::manager
