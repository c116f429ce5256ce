#pragma once

#include "runner/admission/spec.h"
#include "runner/os/fd.h"
#include "runner/os/text.h"

namespace runner {

/// What the command and all that it starts may use together: a cgroup of their own where the manager found a place for
/// one, else limits of each process (docs/guide/limits.md). The runner itself stays outside.
class Limits {
 public:
  /// Before the fork. Where a cgroup can't be had, or lacks one of the controllers, all is done by process limits.
  void open(const Spec& spec, std::string_view task_id);

  /// In the forked child. 0 or -errno: then it must not run.
  [[nodiscard]] int apply(const perdure::contract::LaunchSpec& wanted) const;

  [[nodiscard]] bool by_cgroup() const { return static_cast<bool>(group_); }
  /// Has the kernel killed something of it because its memory was used up? Process limits don't tell.
  [[nodiscard]] bool ran_out_of_memory() const;

  /// When nothing is left in it.
  void remove();

 private:
  [[nodiscard]] bool make_group(const perdure::contract::LaunchSpec& wanted);
  bool set(const char* file, std::string_view value) const;

  Fd parent_, group_, members_;
  Text<80> name_;
};

}  // namespace runner
