#pragma once

#include "manager/link/telemetry.h"
#include "manager/status/foreground.h"
#include "store/session.h"
#include <perdure/manager.h>

#include <functional>

namespace perdure::manager {

/// TaskManager::wait(), which adds the reporting. `is_out_of_reach`: no process here will learn of the end of this task
/// on another host, so it is not waited for.
[[nodiscard]] Result<WaitResult> wait_for(const store::Session& session, HeldTasks& held, Telemetry& telemetry,
                                          const WaitOptions& options,
                                          const std::function<bool(const Task&)>& is_out_of_reach = {});

/// Is this a stop that does not notify the owner (L15, L45)?
[[nodiscard]] bool is_quiet(const StopOptions& options, const Task& task);

}  // namespace perdure::manager
