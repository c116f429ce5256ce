#pragma once

#include "manager/link/telemetry.h"
#include "manager/status/foreground.h"
#include "store/session.h"
#include <perdure/manager.h>

namespace perdure::manager {

/// TaskManager::wait(), which reports it besides.
[[nodiscard]] Result<WaitResult> wait_for(const store::Session& session, HeldTasks& held, Telemetry& telemetry,
                                          const WaitOptions& options);

/// A stop that its owner is not to be told of (L15, L45).
[[nodiscard]] bool is_quiet(const StopOptions& options, const Task& task);

}  // namespace perdure::manager
