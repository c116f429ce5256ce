#pragma once

#include "contract/launch_spec.h"

#include <string_view>

namespace runner {

/// The launch specification, checked and unpacked. `header`, `argv` and what hangs on them live in the mapped file
/// until drop_command(), for good where there are hooks; `constant`, `owner`, `cgroup`, `note`, `identity` and `telemetry` are
/// copies that stay.
struct Spec {
  const perdure::contract::LaunchSpec* header = nullptr;
  std::string_view constant, owner;
  std::string_view after, entry_text;
  std::string_view note;      // what is known of a subagent already, as `note` of control.h
  std::string_view cgroup;    // path of the task's own, if one can be made; escaped as in JSON
  std::string_view identity;  // members of the record that say where it runs; "": not said
  const char* program = nullptr;
  const char* cwd = nullptr;
  const char* telemetry = "";
  char* kept = nullptr;  // the buffer of the copies
  char** argv = nullptr;
  char** envp = nullptr;
  const char* told_first = nullptr;   // hooks: JSON members
  const char* description = nullptr;  // hooks: escaped as in JSON
  const char* cgroup_parent = "";
  char** hooks = nullptr;  // header->hook_count of them

  /// 0 or -errno; -EINVAL: not a specification of this version.
  [[nodiscard]] int read(int fd);

  /// Unmaps what only the command needed. Hooks use the same environment, so with hooks it stays.
  /// The value of a variable of the command's environment; "" if it is not set. Only before drop_command().
  [[nodiscard]] std::string_view variable(std::string_view name) const;

  void drop_command();

  /// Adds the variables that a batch engine put into `environment` to the command's environment, replacing those in it.
  [[nodiscard]] int add_engine_variables(char** environment);
};

}  // namespace runner
