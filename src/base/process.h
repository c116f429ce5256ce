#pragma once

#include "base/error.h"
#include "base/fd.h"
#include <perdure/task.h>

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

// Other processes, as /proc shows them. Each result may be outdated when it is used. So a caller that signals opens a
// pidfd first, reads again, and signals through the pidfd.
namespace perdure {

struct ProcessLook {
  pid_t pid = 0;
  char state = '?';  // 'Z' and 'X': it has exited, only its entry is left
  pid_t parent = 0;
  pid_t group = 0;
  pid_t session = 0;
  std::int64_t start_ticks = 0;
  bool is_exiting = false;  // its program no longer runs: the kernel is releasing its files and locks

  [[nodiscard]] bool is_dead() const { return state == 'Z' || state == 'X'; }
};

/// Absent: no such process.
[[nodiscard]] std::optional<ProcessLook> look_at_process(std::int64_t pid);

/// True while exactly that process lives; a zombie does not count.
[[nodiscard]] bool is_alive(const ProcessIdentity& identity);

/// The same, and its program still runs. A killed process releases its locks before it becomes a zombie: a caller that
/// concludes from a free lock that a process died uses this function.
[[nodiscard]] bool is_running(const ProcessIdentity& identity);

/// When it was started, ms since the epoch, from its ticks.
[[nodiscard]] std::int64_t start_time_ms(std::int64_t start_ticks);

/// The command line with single blanks between the arguments; "" if unreadable.
[[nodiscard]] std::string command_line_of(pid_t pid);

/// A variable of the environment at its exec; absent if unset or unreadable.
[[nodiscard]] std::optional<std::string> environment_value(pid_t pid, const std::string& name);

/// Can the environment of that process be read? False for processes of other users, and if /proc hides it.
[[nodiscard]] bool can_read_environment(pid_t pid);

/// The path of its program; "" if unreadable.
[[nodiscard]] std::string program_of(pid_t pid);

[[nodiscard]] std::vector<pid_t> all_processes();

/// Children of all its threads, without their descendants. Empty if the kernel does not tell.
[[nodiscard]] std::vector<pid_t> children_of(pid_t pid);

[[nodiscard]] Result<Fd> open_pidfd(std::int64_t pid);
[[nodiscard]] Result<> signal_pidfd(int pidfd, int signal_number);

/// False inside a pid namespace of its own (a container): there a missing pid proves nothing.
[[nodiscard]] bool in_initial_pid_namespace();

}  // namespace perdure
