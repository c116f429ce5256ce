#include "far/child.h"

#include "base/clock.h"
#include "base/process.h"
#include "base/try.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace perdure::far {
namespace {

// Above the numbers to which the streams are moved, so that no move overwrites the source of another one.
constexpr int kAboveStreams = 16;

struct Ends {
  Fd ours, theirs;
};

// A socket, so that writing to a child that has exited is an error of the call and not a signal.
Result<Ends> input_ends() {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) return fail_errno("making", "a socket");
  const Fd low(ends[1]);
  return Ends{.ours = Fd(ends[0]), .theirs = Fd(::fcntl(low.get(), F_DUPFD_CLOEXEC, kAboveStreams))};
}

Result<Ends> output_ends() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("making", "a pipe");
  const Fd low(ends[1]);
  return Ends{.ours = Fd(ends[0]), .theirs = Fd(::fcntl(low.get(), F_DUPFD_CLOEXEC, kAboveStreams))};
}

std::vector<char*> words_of(const std::vector<std::string>& texts) {
  std::vector<char*> words;
  words.reserve(texts.size() + 1);
  for (const auto& text : texts) words.push_back(const_cast<char*>(text.c_str()));
  words.push_back(nullptr);
  return words;
}

}  // namespace

Result<Child> Child::spawn(const std::vector<std::string>& argv, const std::vector<std::string>& environment) {
  TRY(auto input, input_ends());
  TRY(auto output, output_ends());
  TRY(auto errors, output_ends());

  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_adddup2(&actions, input.theirs.get(), STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, output.theirs.get(), STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, errors.theirs.get(), STDERR_FILENO);
  sigset_t all;
  sigset_t none;
  ::sigfillset(&all);
  ::sigemptyset(&none);
  ::posix_spawnattr_setsigdefault(&attributes, &all);
  ::posix_spawnattr_setsigmask(&attributes, &none);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
  pid_t pid = -1;
  const int error = ::posix_spawnp(&pid, argv.front().c_str(), &actions, &attributes, words_of(argv).data(),
                                   words_of(environment).data());
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  if (error != 0) return fail_os(error, "starting", argv.front(), ErrorCode::task_launch_failed);
  auto pidfd = open_pidfd(pid);
  return Child(pid, pidfd ? std::move(*pidfd) : Fd(), std::move(input.ours), std::move(output.ours),
               std::move(errors.ours));
}

Child::Child(Child&& other) noexcept
    : pid_(std::exchange(other.pid_, -1)),
      pidfd_(std::move(other.pidfd_)),
      input_(std::move(other.input_)),
      output_(std::move(other.output_)),
      errors_(std::move(other.errors_)) {}

Child& Child::operator=(Child&& other) noexcept {
  if (this == &other) return *this;
  end();
  pid_ = std::exchange(other.pid_, -1);
  pidfd_ = std::move(other.pidfd_);
  input_ = std::move(other.input_);
  output_ = std::move(other.output_);
  errors_ = std::move(other.errors_);
  return *this;
}

Child::~Child() {
  end();
}

void Child::end() {
  if (pid_ < 0) return;
  ::kill(pid_, SIGKILL);  // it was not reaped yet, so its pid can't have been reused
  while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
}

std::optional<Ended> Child::wait(std::int64_t until, int cancel_fd) {
  while (pid_ >= 0) {
    std::array<pollfd, 2> fds = {
        {{.fd = pidfd_.get(), .events = POLLIN, .revents = 0}, {.fd = cancel_fd, .events = POLLIN, .revents = 0}}};
    const std::int64_t left = until < 0 ? -1 : std::clamp<std::int64_t>(until - steady_ms(), 0, INT32_MAX);
    const int n = ::poll(fds.data(), fds.size(), static_cast<int>(left));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0 || (fds[0].revents == 0 && fds[1].revents != 0)) return std::nullopt;
    int status = 0;
    const pid_t reaped = ::waitpid(pid_, &status, 0);
    if (reaped < 0 && errno == EINTR) continue;
    pid_ = -1;
    if (reaped > 0 && WIFEXITED(status)) return Ended{.exit_code = WEXITSTATUS(status), .signal = 0};
    return Ended{.exit_code = -1, .signal = reaped > 0 && WIFSIGNALED(status) ? WTERMSIG(status) : 0};
  }
  return std::nullopt;
}

std::vector<std::string> plain_environment() {
  std::vector<std::string> variables;
  for (char** at = environ; at != nullptr && *at != nullptr; ++at)
    if (!std::string_view(*at).starts_with("PERDURE_")) variables.emplace_back(*at);
  return variables;
}

}  // namespace perdure::far
