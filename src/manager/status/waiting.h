#pragma once

#include "manager/link/telemetry.h"
#include "manager/status/foreground.h"
#include "store/session.h"
#include <perdure/manager.h>

#include <functional>

namespace perdure::manager {

/// TaskManager::wait(), which reports it besides. `is_out_of_reach`: nobody is going to hear of the end of that
/// task elsewhere, so it is not waited for.
[[nodiscard]] Result<WaitResult> wait_for(const store::Session& session, HeldTasks& held, Telemetry& telemetry,
                                          const WaitOptions& options,
                                          const std::function<bool(const Task&)>& is_out_of_reach = {});

/// A stop that its owner is not to be told of (L15, L45).
[[nodiscard]] bool is_quiet(const StopOptions& options, const Task& task);

}  // namespace perdure::manager
