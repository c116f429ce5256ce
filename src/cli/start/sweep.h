#pragma once

#include <perdure/manager.h>

namespace perdure::cli {

/// Where it is time (Upkeep::sweep_is_due), starts a process that removes ended tasks as configured, and does not
/// wait for it. Nothing that goes wrong is told: the start that it follows has succeeded, and doctor sees the rest.
void sweep_in_background(TaskManager& manager);

/// Makes this process, which has one thread, one that its parent has nothing to do with: no terminal, no descriptor.
void leave_the_caller();

}  // namespace perdure::cli
