#pragma once

#include <functional>

namespace perdure::cli {

/// What a process owes that is the first of its pid namespace, as in a container without an init (L58). `front_end` runs in a
/// child; this process waits for whatever ends, hands on signals, and at SIGTERM calls `stop_tasks` in a child before the
/// front end is told: a front end would let its task go on, and the kernel kills all of the namespace as soon as we are gone.
/// Returns in two processes: in the child the status of `front_end`, in this one the same once all of it is over.
int run_as_pid_1(const std::function<int()>& front_end, const std::function<void()>& stop_tasks);

}  // namespace perdure::cli
