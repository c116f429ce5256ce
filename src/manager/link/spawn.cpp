#include "manager/link/spawn.h"

#include "contract/launch_spec.h"
#include "contract/names.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <sched.h>

namespace perdure::manager {
namespace {

// The runner expects descriptors with numbers that may be in use here; dup2 can't overwrite duplicates far above them.
constexpr int kAbove = 16;

// Two processes are created in turn. As with vfork(), each shares this process's memory while the thread that creates
// it is suspended: nothing is copied, however large this program is. The one in between exits at once, so that this
// process has no child to reap, and the runner no parent that would have to wait for it. Raw system calls, since the
// instrumentation of a sanitizer must not run in a process that shares memory with this one.
struct RunnerExec {
  const char* path;
  char* const* argv;
  char* const* envp;
  int spec, answer, stream, input;  // stream, input: -1 for none
  char* runner_stack = nullptr;
  int error = 0;
};

constexpr std::size_t kStack = 16384;

__attribute__((no_sanitize("address", "thread", "undefined"))) int exec_runner(void* start) {
  auto& plan = *static_cast<RunnerExec*>(start);
  ::syscall(SYS_dup3, plan.spec, contract::kSpecFd, 0);
  ::syscall(SYS_dup3, plan.answer, contract::kAnswerFd, 0);
  if (plan.stream >= 0) ::syscall(SYS_dup3, plan.stream, contract::kStreamFd, 0);
  if (plan.input >= 0) ::syscall(SYS_dup3, plan.input, contract::kInputFd, 0);
  ::syscall(SYS_execve, plan.path, plan.argv, plan.envp);
  plan.error = errno;
  ::syscall(SYS_exit_group, 127);
  return 127;
}

__attribute__((no_sanitize("address", "thread", "undefined"))) int leave_between(void* start) {
  auto& plan = *static_cast<RunnerExec*>(start);
  if (::clone(exec_runner, plan.runner_stack, CLONE_VM | CLONE_VFORK | SIGCHLD, start) < 0) plan.error = errno;
  ::syscall(SYS_exit_group, 0);
  return 0;
}

// 0, or an errno. Nothing may end the runner between its exec and its first action, such as a terminal's hang-up: it
// starts with all signals blocked.
int spawn(RunnerExec& plan) {
  alignas(16) char stacks[2][kStack];
  plan.runner_stack = stacks[1] + kStack;
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  const int pid = ::clone(leave_between, stacks[0] + kStack, CLONE_VM | CLONE_VFORK | SIGCHLD, &plan);
  const int error = pid < 0 ? errno : plan.error;
  // A process that ignores SIGCHLD has no zombie to wait for.
  while (pid > 0 && ::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return error;
}

// A pipe delivers the line in parts, a SEQPACKET whole; later messages on the latter are left to later readers.
std::string read_line(int fd, bool whole) {
  std::string line;
  char part[512];
  while (true) {
    const ssize_t n = ::read(fd, part, sizeof part);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    line.append(part, static_cast<std::size_t>(n));
    if (whole || line.contains('\n')) break;
  }
  line.resize(std::min(line.size(), line.find('\n')));
  return line;
}

Result<std::pair<Fd, Fd>> make_answer_ends(const RunnerStart& start) {
  int ends[2];
  const int failed =
      start.foreground ? ::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) : ::pipe2(ends, O_CLOEXEC);
  if (failed != 0) return fail_errno("making a pipe for", start.runner, ErrorCode::task_launch_failed);
  return std::pair(Fd(ends[0]), Fd(ends[1]));
}

}  // namespace

Result<RunnerAnswer> spawn_runner(const RunnerStart& start) {
  auto ends = make_answer_ends(start);
  if (!ends) return std::unexpected(ends.error());
  auto& [answer, answer_in] = *ends;
  const auto high_copy = [](int fd) { return Fd(::fcntl(fd, F_DUPFD_CLOEXEC, kAbove)); };
  const Fd high_spec = high_copy(start.spec.get());
  Fd high_answer = high_copy(answer_in.get());
  const Fd high_stream = start.stream_fd < 0 ? Fd() : high_copy(start.stream_fd);
  const Fd high_input = start.input_fd < 0 ? Fd() : high_copy(start.input_fd);
  if (!high_spec || !high_answer || (start.stream_fd >= 0 && !high_stream) || (start.input_fd >= 0 && !high_input))
    return fail_errno("passing descriptors to", start.runner, ErrorCode::task_launch_failed);

  // exec'd with only its own marker: variables removed later by unsetenv stay visible in /proc/PID/environ.
  const std::string variable = std::string(contract::kRunnerVariable) + "=" + start.marker;
  const auto word = [](const std::string& text) { return const_cast<char*>(text.c_str()); };
  char* const argv[] = {word(start.runner), word(start.session), word(start.id),
                        start.entry.empty() ? nullptr : word(start.entry), nullptr};
  char* const envp[] = {word(variable), nullptr};
  RunnerExec plan{.path = start.runner.c_str(),
                  .argv = argv,
                  .envp = envp,
                  .spec = high_spec.get(),
                  .answer = high_answer.get(),
                  .stream = high_stream ? high_stream.get() : -1,
                  .input = high_input ? high_input.get() : -1};
  if (const int e = spawn(plan); e != 0) return fail_os(e, "starting", start.runner, ErrorCode::task_launch_failed);
  answer_in.reset();
  high_answer.reset();
  RunnerAnswer given{.line = read_line(answer.get(), start.foreground), .caller = {}};
  if (start.foreground) given.caller = std::move(answer);
  return given;
}

}  // namespace perdure::manager
