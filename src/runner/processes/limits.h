#pragma once

#include "runner/admission/spec.h"
#include "runner/os/fd.h"
#include "runner/os/text.h"

namespace runner {

/// Resource limits of the command and its processes together: a cgroup of their own if the manager found a place for
/// one, else process limits (docs/guide/limits.md). The runner itself is not limited.
class Limits {
 public:
  /// Call before the fork. Without a cgroup, or for a controller that it lacks, process limits are used.
  void open(const Spec& spec, std::string_view task_id);

  /// Call in the forked child. 0 or -errno; on failure it must not run the command.
  [[nodiscard]] int apply(const perdure::contract::LaunchSpec& wanted) const;

  [[nodiscard]] bool by_cgroup() const { return static_cast<bool>(group_); }
  /// Did the kernel kill one of the processes because the memory limit was reached? Process limits do not tell.
  [[nodiscard]] bool ran_out_of_memory() const;

  /// Call when no process is left in it.
  void remove();

 private:
  [[nodiscard]] bool make_group(const perdure::contract::LaunchSpec& wanted);
  bool set(const char* file, std::string_view value) const;

  Fd parent_, group_, members_;
  Text<80> name_;
};

}  // namespace runner
