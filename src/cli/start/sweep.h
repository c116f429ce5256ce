#pragma once

#include <perdure/manager.h>

namespace perdure::cli {

/// If it is due (Upkeep::sweep_is_due), starts a process that removes ended tasks as configured, and does not wait for
/// it. Errors are not reported: the start before it has succeeded, and `doctor` reports what is wrong.
void sweep_in_background(TaskManager& manager);

/// Detaches this single-threaded process from its parent: no terminal, no open descriptor.
void leave_the_caller();

}  // namespace perdure::cli
