#pragma once

#include <perdure/manager.h>

#include <cstdint>
#include <string>

namespace perdure::manager {

/// The resource limits of a task, and how the kernel can enforce them (contract/launch_spec.h).
struct Limits {
  std::int64_t memory_max = 0, cpu_max_milli = 0, pids_max = 0;
  std::int64_t pids_of_user = 0;  // process limits only: pids_max plus the user's present threads
  std::string cgroup_parent;      // "": a cgroup can't be made
  std::string cgroup;             // path of the task's own
};

[[nodiscard]] Result<> check_limits(const StartOptions& options);
void note_limits(const StartOptions& options, Task& task);
[[nodiscard]] Limits plan_limits(const StartOptions& options, const TaskId& id);

/// The cgroup v2 in which this user may make one with all of these controllers; "": there is none. $PERDURE_CGROUP if
/// it is set, else the nearest one above this process.
[[nodiscard]] std::string find_cgroup(const std::vector<std::string>& controllers);

/// The same for given contents of the kernel's files on mounts and on this process.
[[nodiscard]] std::string find_cgroup_above(const std::string& mountinfo, const std::string& own_cgroups,
                                            const std::vector<std::string>& controllers);

/// Removes the cgroup that a killed runner left.
void remove_cgroup(const Task& task);

}  // namespace perdure::manager
