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

// Far above what the runner expects.
constexpr int kAbove = 16;
static_assert(contract::kSpecFd < contract::kAnswerFd && contract::kAnswerFd < contract::kStreamFd &&
              contract::kStreamFd < contract::kInputFd);

// A descriptor for the runner. They are put into their places in the order of these, so one is only overwritten before
// its turn if it has the number of an earlier target: then it gets a duplicate above all of them.
class Passed {
 public:
  Passed(int fd, int target) : fd_(fd) {
    if (fd < contract::kSpecFd || fd >= target) return;
    copy_ = Fd(::fcntl(fd, F_DUPFD_CLOEXEC, kAbove));
    fd_ = copy_.get();
    failed_ = !copy_;
  }
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool has_failed() const { return failed_; }
  void reset() { copy_.reset(); }

 private:
  int fd_;
  Fd copy_;
  bool failed_ = false;
};

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

__attribute__((no_sanitize("address", "thread", "undefined"))) void give(int fd, int as) {
  if (fd == as) {
    ::syscall(SYS_fcntl, fd, F_SETFD, 0);
  } else {
    ::syscall(SYS_dup3, fd, as, 0);
  }
}

__attribute__((no_sanitize("address", "thread", "undefined"))) int exec_runner(void* start) {
  auto& plan = *static_cast<RunnerExec*>(start);
  give(plan.spec, contract::kSpecFd);
  give(plan.answer, contract::kAnswerFd);
  if (plan.stream >= 0) give(plan.stream, contract::kStreamFd);
  if (plan.input >= 0) give(plan.input, contract::kInputFd);
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
  char part[4096];
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
  const Passed spec(start.spec.get(), contract::kSpecFd);
  Passed passed_answer(answer_in.get(), contract::kAnswerFd);
  const Passed stream(start.stream_fd, contract::kStreamFd);
  const Passed input(start.input_fd, contract::kInputFd);
  if (spec.has_failed() || passed_answer.has_failed() || stream.has_failed() || input.has_failed())
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
                  .spec = spec.get(),
                  .answer = passed_answer.get(),
                  .stream = stream.get(),
                  .input = input.get()};
  if (const int e = spawn(plan); e != 0) return fail_os(e, "starting", start.runner, ErrorCode::task_launch_failed);
  answer_in.reset();
  passed_answer.reset();
  RunnerAnswer given{.line = read_line(answer.get(), start.foreground), .caller = {}};
  if (start.foreground) given.caller = std::move(answer);
  return given;
}

}  // namespace perdure::manager
