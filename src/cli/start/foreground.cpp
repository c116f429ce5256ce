#include "cli/start/foreground.h"

#include "base/error.h"
#include "base/fd.h"
#include "cli/console/print.h"
#include "cli/console/text.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <fmt/format.h>

#include <cerrno>
#include <system_error>
#include <thread>

namespace perdure::cli {
namespace {

constexpr int kDetached = 75;  // the task runs on, as after a wait that gave up

// Signals as something to read. They are given back when it goes.
class Signals {
 public:
  Signals() {
    sigset_t set;
    ::sigemptyset(&set);
    for (const int number : {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGPIPE}) ::sigaddset(&set, number);
    ::pthread_sigmask(SIG_BLOCK, &set, &before_);
    fd_ = Fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  }
  ~Signals() {
    while (next() != 0) {
    }
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  Signals(const Signals&) = delete;
  Signals& operator=(const Signals&) = delete;
  [[nodiscard]] int fd() const { return fd_.get(); }
  // 0: none.
  [[nodiscard]] int next() const {
    signalfd_siginfo info{};
    return ::read(fd_.get(), &info, sizeof info) == sizeof info ? static_cast<int>(info.ssi_signo) : 0;
  }

 private:
  sigset_t before_{};
  Fd fd_;
};

// Has the terminal send SIGQUIT for the detach key. Everything else about it stays as it is, and so it does when we are
// killed, but for that key.
class DetachKey {
 public:
  explicit DetachKey(char key) {
    if (::tcgetattr(STDIN_FILENO, &before_) != 0) return;
    termios changed = before_;
    changed.c_cc[VQUIT] = key == 0 ? static_cast<cc_t>(_POSIX_VDISABLE) : static_cast<cc_t>(key);
    // In a background job of the shell this would stop us; there no key reaches us either.
    if (::tcgetpgrp(STDIN_FILENO) == ::getpgrp()) changed_ = ::tcsetattr(STDIN_FILENO, TCSANOW, &changed) == 0;
  }
  ~DetachKey() {
    if (changed_) ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
  }
  DetachKey(const DetachKey&) = delete;
  DetachKey& operator=(const DetachKey&) = delete;

 private:
  termios before_{};
  bool changed_ = false;
};

// False: nobody reads it any more.
bool pass_on(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) {
      pollfd room{.fd = STDOUT_FILENO, .events = POLLOUT, .revents = 0};
      ::poll(&room, 1, -1);
      continue;
    }
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

class Foreground {
 public:
  Foreground(TaskManager& manager, TaskId id, Fd output)
      : manager_(manager), id_(std::move(id)), output_(std::move(output)) {}

  Result<Released> attend(const Signals& signals) {
    static char buffer[65536];
    while (output_) {
      pollfd fds[] = {{.fd = output_.get(), .events = POLLIN, .revents = 0},
                      {.fd = signals.fd(), .events = POLLIN, .revents = 0}};
      if (::poll(fds, 2, -1) < 0 && errno != EINTR) return fail_errno("waiting for", id_.str());
      if (fds[1].revents != 0) on_signals(signals);
      if (fds[0].revents == 0) continue;
      const ssize_t n = ::read(output_.get(), buffer, sizeof buffer);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0 || !pass_on({buffer, static_cast<std::size_t>(n)})) {
        if (n > 0) stop(std::nullopt);  // as a pipeline's commands end when nobody reads them
        output_.reset();
      }
    }
    while (true) {
      auto released = manager_.wait_for_release(id_, std::nullopt, signals.fd());
      if (!released || released->how != Release::waiting) return released;
      on_signals(signals);
    }
  }

 private:
  void on_signals(const Signals& signals) {
    while (const int number = signals.next()) {
      if (number == SIGPIPE) continue;
      if (number != SIGINT) {
        if (auto detached = manager_.detach(id_); !detached) note("perdure: " + detached.error().message);
        continue;
      }
      stop(interrupted_ ? std::optional(std::chrono::milliseconds(0)) : std::nullopt);
      interrupted_ = true;
    }
  }

  // Beside us, since the output goes on until the end. The second Ctrl-C does not wait for the first one's grace.
  void stop(std::optional<std::chrono::milliseconds> grace) {
    const auto ask = [this, grace] {
      auto stopped = manager_.stop(id_, {.reason = "Stopped by the person who ran it", .grace = grace});
      if (!stopped && stopped.error().code != ErrorCode::task_not_found) note("perdure: " + stopped.error().message);
    };
    std::jthread& thread = grace ? second_ : first_;
    if (thread.joinable()) return;
    try {
      thread = std::jthread(ask);
    } catch (const std::system_error&) {
      output_.reset();  // no thread to be had: then its output has to wait
      ask();
    }
  }

  TaskManager& manager_;
  TaskId id_;
  Fd output_;
  bool interrupted_ = false;
  std::jthread first_, second_;
};

}  // namespace

Result<char> parse_detach_keys(std::string_view text) {
  if (text == "none") return '\0';
  constexpr std::string_view kPrefix = "ctrl-";
  const char key = text.size() == kPrefix.size() + 1 && text.starts_with(kPrefix) ? text.back() : '\0';
  const char upper = key >= 'a' && key <= 'z' ? static_cast<char>(key - 'a' + 'A') : key;
  if (upper < '@' || upper > '_')
    return fail(ErrorCode::usage,
                fmt::format("--detach-keys: '{}' is not of the form ctrl-X: write ctrl-\\, ctrl-] or none",
                            harmless_line(text)));
  if (upper == 'C' || upper == 'Z')
    return fail(ErrorCode::usage, fmt::format("--detach-keys: {} has a meaning already: choose another key", text));
  return static_cast<char>(upper - '@');
}

Result<int> run_in_foreground(TaskManager& manager, StartOptions start, const std::string& detach_keys) {
  auto key = parse_detach_keys(detach_keys);
  if (!key) return std::unexpected(key.error());
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("making a pipe for", "the output");
  Fd output(ends[0]);
  Fd output_in(ends[1]);
  start.detached = false;
  start.stream_fd = output_in.get();
  const Signals signals;
  auto task = manager.start(start);
  if (!task) return std::unexpected(task.error());
  output_in.reset();
  const DetachKey detach_key(*key);
  Foreground foreground(manager, task->id, std::move(output));
  auto released = foreground.attend(signals);
  if (!released) return std::unexpected(released.error());
  if (released->how != Release::terminal) {
    note(task->id.str());
    return kDetached;
  }
  if (released->task.status != Status::completed && released->task.status != Status::failed)
    note("perdure: " + outcome_text(released->task));
  if (released->task.leftovers.value_or(0) > 0)
    note(fmt::format("perdure: {0} processes that the command started live on: `perdure stop {1}` ends them",
                     *released->task.leftovers, task->id.str()));
  return exit_status_of(released->task);
}

}  // namespace perdure::cli
