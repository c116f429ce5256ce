#pragma once

#include "contract/launch_spec.h"

#include <string_view>

namespace runner {

/// The launch specification, checked and unpacked. `header`, `argv` and what hangs on them live in the mapped file
/// until drop_command(), for good where there are hooks; `constant`, `owner`, `cgroup`, `note` and `telemetry` are
/// copies that stay.
struct Spec {
  const perdure::contract::LaunchSpec* header = nullptr;
  std::string_view constant, owner;
  std::string_view after, entry_text;
  std::string_view note;    // what is known of a subagent already, as `note` of control.h
  std::string_view cgroup;  // path of the task's own, if one can be made; escaped as in JSON
  const char* program = nullptr;
  const char* cwd = nullptr;
  const char* telemetry = "";
  char* kept = nullptr;  // what the copies point into, to the end
  char** argv = nullptr;
  char** envp = nullptr;
  const char* told_first = nullptr;   // hooks: JSON members
  const char* description = nullptr;  // hooks: escaped as in JSON
  const char* cgroup_parent = "";
  char** hooks = nullptr;  // header->hook_count of them

  /// 0 or -errno; -EINVAL: not a specification of this version.
  [[nodiscard]] int read(int fd);

  /// Gives back the memory that only the command needed. Hooks get the same environment, so with them it stays.
  /// The value of a variable of the command's environment; "" where it has none. Before drop_command().
  [[nodiscard]] std::string_view variable(std::string_view name) const;

  void drop_command();

  /// Adds to the command's environment what a batch engine has put into `environment`, over what is there.
  [[nodiscard]] int add_engine_variables(char** environment);
};

}  // namespace runner
