#include "manager/link/spawn.h"

#include "contract/launch_spec.h"
#include "contract/names.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

namespace perdure::manager {
namespace {

// The runner expects numbers that may be in use here; a duplicate far above them can't be overwritten by dup2.
constexpr int kAbove = 16;

class SpawnPlan {
 public:
  SpawnPlan() {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawnattr_init(&attributes_);
  }
  ~SpawnPlan() {
    ::posix_spawn_file_actions_destroy(&actions_);
    ::posix_spawnattr_destroy(&attributes_);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;

  void pass(int fd, int as) { ::posix_spawn_file_actions_adddup2(&actions_, fd, as); }

  // Nothing may end the runner between its exec and its own first act, a terminal's hang-up least of all.
  void block_signals() {
    sigset_t all;
    ::sigfillset(&all);
    ::posix_spawnattr_setsigmask(&attributes_, &all);
    ::posix_spawnattr_setflags(&attributes_, POSIX_SPAWN_SETSIGMASK);
  }

  int spawn(pid_t& pid, const char* path, char* const* argv, char* const* envp) {
    return ::posix_spawn(&pid, path, &actions_, &attributes_, argv, envp);
  }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

// A pipe gives the line in parts, a SEQPACKET whole; what follows on the latter is for later readers.
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

  SpawnPlan plan;
  plan.pass(high_spec.get(), contract::kSpecFd);
  plan.pass(high_answer.get(), contract::kAnswerFd);
  if (high_stream) plan.pass(high_stream.get(), contract::kStreamFd);
  if (high_input) plan.pass(high_input.get(), contract::kInputFd);
  plan.block_signals();
  // exec'd with nothing but its own marker: what unsetenv removes later stays visible in /proc/PID/environ.
  const std::string variable = std::string(contract::kRunnerVariable) + "=" + start.marker;
  const auto word = [](const std::string& text) { return const_cast<char*>(text.c_str()); };
  char* const argv[] = {word(start.runner), word(start.session), word(start.id),
                        start.entry.empty() ? nullptr : word(start.entry), nullptr};
  char* const envp[] = {word(variable), nullptr};
  pid_t pid = 0;
  if (const int e = plan.spawn(pid, start.runner.c_str(), argv, envp); e != 0)
    return fail_os(e, "starting", start.runner, ErrorCode::task_launch_failed);
  answer_in.reset();
  high_answer.reset();
  RunnerAnswer given{.line = read_line(answer.get(), start.foreground), .caller = {}};
  // This child only forked the runner and left; whoever ignores SIGCHLD has no zombie to wait for.
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  if (start.foreground) given.caller = std::move(answer);
  return given;
}

}  // namespace perdure::manager
