#include "acp/protocol/process.h"

#include "base/error.h"
#include "base/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace perdure::acp {
namespace {

constexpr int kPatienceMs = 1'500;  // agents end within 1.5 s of the end of their input (measured)

struct Pipe {
  Fd read, write;
};

Result<Pipe> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("making", "a pipe to the agent", ErrorCode::task_launch_failed);
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

std::vector<std::string> joined(const std::map<std::string, std::string>& more) {
  std::vector<std::string> all;
  for (char** at = environ; at != nullptr && *at != nullptr; ++at) {
    const std::string_view variable = *at;
    if (!more.contains(std::string(variable.substr(0, variable.find('='))))) all.emplace_back(variable);
  }
  for (const auto& [name, value] : more) all.push_back(name + "=" + value);
  return all;
}

std::vector<char*> pointers(const std::vector<std::string>& words) {
  std::vector<char*> all;
  all.reserve(words.size() + 1);
  for (const auto& word : words) all.push_back(const_cast<char*>(word.c_str()));
  all.push_back(nullptr);
  return all;
}

int spawn_into(pid_t& pid, const std::vector<std::string>& command, const std::vector<std::string>& environment,
               const std::string& cwd, const std::array<int, 3>& streams) {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  for (int fd = 0; fd < 3; ++fd) ::posix_spawn_file_actions_adddup2(&actions, streams[static_cast<unsigned>(fd)], fd);
  ::posix_spawn_file_actions_addchdir_np(&actions, cwd.c_str());
  // This process blocks and ignores signals; an agent starts with default signals.
  sigset_t none;
  sigset_t all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  const auto argv = pointers(command);
  const auto envp = pointers(environment);
  const int error = ::posix_spawnp(&pid, argv.front(), &actions, &attributes, argv.data(), envp.data());
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  return error;
}

}  // namespace

Result<AgentProcess> AgentProcess::spawn(const std::vector<std::string>& command,
                                         const std::map<std::string, std::string>& environment,
                                         const std::string& cwd) {
  auto in = make_pipe();
  auto out = make_pipe();
  auto err = make_pipe();
  for (const auto* pipe : {&in, &out, &err})
    if (!*pipe) return std::unexpected(pipe->error());
  pid_t pid = 0;
  const int error =
      spawn_into(pid, command, joined(environment), cwd, {in->read.get(), out->write.get(), err->write.get()});
  if (error != 0) return fail_os(error, "starting the agent", command.front(), ErrorCode::task_launch_failed);
  auto process = open_pidfd(pid);
  if (!process) {
    ::kill(-pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return std::unexpected(process.error());
  }
  return AgentProcess(pid, std::move(*process), std::move(in->write), std::move(out->read), std::move(err->read));
}

bool AgentProcess::await_end(int patience_ms) const {
  pollfd ended{.fd = process_.get(), .events = POLLIN, .revents = 0};
  return ::poll(&ended, 1, patience_ms) > 0;
}

void AgentProcess::signal_group(int number) const {
  if (pid_ > 1) ::kill(-pid_, number);
}

std::string AgentProcess::how_it_ended(int patience_ms) {
  siginfo_t how{};
  if (!process_ || !await_end(patience_ms) ||
      ::waitid(P_PIDFD, static_cast<id_t>(process_.get()), &how, WEXITED | WNOWAIT) != 0)
    return "";
  if (how.si_code == CLD_EXITED) return fmt::format("exit code {}", how.si_status);
  const char* const name = ::sigabbrev_np(how.si_status);
  return fmt::format("signal {}{}", how.si_status, name == nullptr ? "" : fmt::format(" (SIG{})", name));
}

std::string AgentProcess::end() {
  if (!process_) return "";
  input_.reset();
  if (!await_end(kPatienceMs)) {
    signal_group(SIGTERM);
    if (!await_end(kPatienceMs)) signal_group(SIGKILL);
  }
  std::string how = how_it_ended(-1);
  // The leader's zombie keeps the group's number from being reused: all processes in the group are the agent's.
  signal_group(SIGKILL);
  ::waitid(P_PIDFD, static_cast<id_t>(process_.get()), nullptr, WEXITED);
  process_.reset();
  return how;
}

AgentProcess::~AgentProcess() {
  if (!process_) return;
  signal_group(SIGKILL);
  ::waitid(P_PIDFD, static_cast<id_t>(process_.get()), nullptr, WEXITED);
}

}  // namespace perdure::acp
