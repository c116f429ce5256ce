#include "manager/spawn.h"

#include "contract/launch_spec.h"
#include "contract/names.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
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

std::string read_line(int fd) {
  std::string line;
  char part[512];
  while (true) {
    const ssize_t n = ::read(fd, part, sizeof part);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    line.append(part, static_cast<std::size_t>(n));
    if (line.contains('\n')) break;
  }
  line.resize(std::min(line.size(), line.find('\n')));
  return line;
}

}  // namespace

Result<std::string> spawn_runner(const std::string& runner, const std::string& session, const std::string& id,
                                 const std::string& marker, const Fd& spec) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("making a pipe for", runner, ErrorCode::task_launch_failed);
  const Fd answer(ends[0]);
  Fd answer_in(ends[1]);
  Fd high_spec(::fcntl(spec.get(), F_DUPFD_CLOEXEC, kAbove));
  Fd high_answer(::fcntl(answer_in.get(), F_DUPFD_CLOEXEC, kAbove));
  if (!high_spec || !high_answer) return fail_errno("passing descriptors to", runner, ErrorCode::task_launch_failed);

  SpawnPlan plan;
  plan.pass(high_spec.get(), contract::kSpecFd);
  plan.pass(high_answer.get(), contract::kAnswerFd);
  plan.block_signals();
  // exec'd with nothing but its own marker: what unsetenv removes later stays visible in /proc/PID/environ.
  const std::string variable = std::string(contract::kRunnerVariable) + "=" + marker;
  char* const argv[] = {const_cast<char*>(runner.c_str()), const_cast<char*>(session.c_str()),
                        const_cast<char*>(id.c_str()), nullptr};
  char* const envp[] = {const_cast<char*>(variable.c_str()), nullptr};
  pid_t pid = 0;
  if (const int e = plan.spawn(pid, runner.c_str(), argv, envp); e != 0)
    return fail_os(e, "starting", runner, ErrorCode::task_launch_failed);
  answer_in.reset();
  high_answer.reset();
  std::string line = read_line(answer.get());
  // This child only forked the runner and left; whoever ignores SIGCHLD has no zombie to wait for.
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  return line;
}

}  // namespace perdure::manager
