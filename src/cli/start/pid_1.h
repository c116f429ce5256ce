#pragma once

#include <functional>

namespace perdure::cli {

/// The duties of the first process of a pid namespace, as in a container without an init (L58). `front_end` runs in a
/// child. This process reaps all that end, passes signals on, and at SIGTERM calls `stop_tasks` in another child before
/// it signals the front end: a front end would detach its task, and the kernel kills the whole namespace as soon as
/// this process exits. Returns in two processes: in the child the status of `front_end`, in this one the same status
/// after everything ended.
int run_as_pid_1(const std::function<int()>& front_end, const std::function<void()>& stop_tasks);

}  // namespace perdure::cli
