#include "cli/start/sweep.h"

#include "cli/console/call.h"
#include "contract/names.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>

namespace perdure::cli {

void sweep_in_background(TaskManager& manager) {
  // Inside a task the sweep would be a process of that task: stopped with it, and counted as left running by it.
  if (environment(contract::kTaskVariable)) return;
  if (!manager.upkeep().sweep_is_due().value_or(false)) return;
  std::string session = manager.session();
  std::array<std::string, 4> words = {"perdure", "--session", std::move(session), "__sweep"};
  std::array<char*, 5> arguments = {words[0].data(), words[1].data(), words[2].data(), words[3].data(), nullptr};
  posix_spawn_file_actions_t nowhere;
  if (::posix_spawn_file_actions_init(&nowhere) != 0) return;
  for (int fd = 0; fd <= 2; ++fd) ::posix_spawn_file_actions_addopen(&nowhere, fd, "/dev/null", O_RDWR, 0);
  // By exec, not fork alone: this process may have threads.
  pid_t child = 0;
  const int failed = ::posix_spawn(&child, "/proc/self/exe", &nowhere, nullptr, arguments.data(), environ);
  ::posix_spawn_file_actions_destroy(&nowhere);
  if (failed != 0) return;
  while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) {
  }
}

void leave_the_caller() {
  ::syscall(SYS_close_range, 3, ~0U, 0);
  if (const pid_t pid = ::fork(); pid != 0) ::_exit(pid < 0 ? 1 : 0);
  ::setsid();
  static_cast<void>(::chdir("/"));
  constexpr int kLater = 10;
  ::setpriority(PRIO_PROCESS, 0, kLater);
}

}  // namespace perdure::cli
