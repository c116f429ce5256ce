#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "contract/launch_spec.h"
#include "manager/upkeep/doctor.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <string>

#ifndef PERDURE_VERSION
#error "PERDURE_VERSION is set by the build"
#endif

namespace perdure::manager {
namespace {

constexpr std::int64_t kPatienceMs = 2'000;  // the program of that name may be another one and never exit

// The output of `program --version`. Errors: task_launch_failed.
Result<std::string> ask_version(const std::string& program) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("making a pipe for", program, ErrorCode::task_launch_failed);
  const Fd out(ends[0]);
  Fd in(ends[1]);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, in.get(), 1);
  ::posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
  std::string name = program;
  std::string option = "--version";
  char* const arguments[] = {name.data(), option.data(), nullptr};
  pid_t pid = 0;
  const int failed = ::posix_spawn(&pid, program.c_str(), &actions, nullptr, arguments, environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (failed != 0) return fail_os(failed, "starting", program, ErrorCode::task_launch_failed);
  in.reset();
  std::string said;
  const std::int64_t until = steady_ms() + kPatienceMs;
  pollfd readable{.fd = out.get(), .events = POLLIN};
  while (said.size() < 256 &&
         ::poll(&readable, 1, static_cast<int>(std::max<std::int64_t>(0, until - steady_ms()))) > 0) {
    char part[256];
    const ssize_t n = ::read(out.get(), part, sizeof part);
    if (n <= 0) break;
    said.append(part, static_cast<std::size_t>(n));
  }
  ::kill(pid, SIGKILL);  // a child that was not reaped yet: its pid can't have been reused
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  return said.substr(0, said.find('\n'));
}

}  // namespace

void look_at_runner(const std::string& runner, std::vector<Finding>& findings) {
  const std::string expected = fmt::format("perdure-runner {} launch {}", PERDURE_VERSION, contract::kSpecVersion);
  const auto said = ask_version(runner);
  if (!said) {
    findings.push_back(
        {Finding::Level::problem, "perdure-runner",
         fmt::format("{}: no task can be started: install it, or set PERDURE_RUNNER_PATH", said.error().message)});
  } else if (*said != expected) {
    findings.push_back(
        {Finding::Level::problem, "perdure-runner",
         fmt::format("{} is '{}', not '{}' as this program needs it: install both from one build, or set "
                     "PERDURE_RUNNER_PATH",
                     runner, said->empty() ? "no perdure-runner" : *said, expected)});
  }
}

}  // namespace perdure::manager
