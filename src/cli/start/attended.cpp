#include "cli/start/attended.h"

#include "base/error.h"
#include "cli/console/print.h"
#include "cli/console/text.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <fmt/format.h>

#include <cerrno>
#include <system_error>

namespace perdure::cli {
namespace {

// False: the reader of standard output has closed it.
bool pass_on(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) {
      pollfd room{.fd = STDOUT_FILENO, .events = POLLOUT, .revents = 0};
      ::poll(&room, 1, -1);
      continue;
    }
    if (n < 0 && errno != EPIPE && !stdout_is_terminal())
      note(fmt::format("perdure: writing the output of the command: {}", describe_errno(errno)));
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

}  // namespace

Signals::Signals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int number : {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGPIPE, SIGWINCH, SIGCONT}) ::sigaddset(&set, number);
  ::pthread_sigmask(SIG_BLOCK, &set, &before_);
  fd_ = Fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
}

Signals::~Signals() {
  while (next() != 0) {
  }
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
}

int Signals::next() const {
  signalfd_siginfo info{};
  return ::read(fd_.get(), &info, sizeof info) == sizeof info ? static_cast<int>(info.ssi_signo) : 0;
}

// Checked now: isatty() fails on a terminal that was closed.
Screen::Screen(How how) : how_(how), text_(wants_colour(), true) {
  static_cast<void>(stdout_is_terminal());
}

bool Screen::show(std::string_view bytes) {
  if (!stdout_is_terminal()) return pass_on(bytes);
  if (how_ == How::safe) return pass_on(text_.take(bytes));
  const std::string filtered = how_ == How::watched ? filter_.take(bytes) : std::string();
  const std::string_view shown = how_ == How::watched ? std::string_view(filtered) : bytes;
  modes_.see(shown);
  return pass_on(shown);
}

void Screen::leave() {
  if (!stdout_is_terminal()) return;
  if (how_ == How::safe) pass_on(text_.finish());
  pass_on(modes_.undo());
}

Result<bool> Foreground::attend(const Signals& signals, TerminalSettings& settings) {
  static char buffer[65536];
  while (output_) {
    const int patience = typing_ != nullptr ? typing_->patience_ms() : -1;
    pollfd fds[] = {
        {.fd = output_.get(), .events = POLLIN, .revents = 0},
        {.fd = signals.fd(), .events = POLLIN, .revents = 0},
        {.fd = stdout_is_terminal() ? -1 : STDOUT_FILENO, .events = 0, .revents = 0},
        {.fd = typing_ != nullptr && typing_->stdin_events() != 0 ? STDIN_FILENO : -1, .events = POLLIN, .revents = 0},
        {.fd = typing_ != nullptr ? typing_->input() : -1, .events = POLLOUT, .revents = 0}};
    const int n = ::poll(fds, 5, patience);
    if (n < 0 && errno != EINTR) return fail_errno("waiting for", id_.str());
    if (n < 0) continue;
    if (fds[1].revents != 0) on_signals(signals);
    if (typing_ != nullptr) {
      if (fds[3].revents != 0) on_wish(typing_->read(), settings);
      if (n == 0 && patience >= 0) on_wish(typing_->passed(), settings);
      typing_->go_on_drawing();
      if (fds[4].revents != 0) typing_->write();
    }
    if (left_) return false;
    if ((fds[2].revents & POLLERR) != 0 && !reader_gone_) on_reader_gone();
    if (fds[0].revents == 0) continue;
    const ssize_t got = ::read(output_.get(), buffer, sizeof buffer);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) {
      output_.reset();
    } else if (!reader_gone_ && !screen_.show({buffer, static_cast<std::size_t>(got)})) {
      on_reader_gone();
    }
  }
  return true;
}

Result<ForegroundResult> Foreground::await_release(const Signals& signals) {
  while (true) {
    auto released = manager_.wait_for_release(id_, std::nullopt, Cancellation::when_readable(signals.fd()));
    if (!released || released->how != Release::waiting) return released;
    on_signals(signals);
  }
}

void Foreground::on_wish(DetachKeys::Wish wish, TerminalSettings& settings) {
  if (wish == DetachKeys::Wish::detach) detach();
  if (wish != DetachKeys::Wish::suspend) return;
  settings.restore();
  ::raise(SIGSTOP);  // the task continues; SIGCONT is read from the descriptor
  if (typing_ != nullptr) typing_->resume();
}

void Foreground::detach() {
  left_ = visits_;
  if (visits_) return;
  if (auto detached = manager_.detach(id_); !detached) note("perdure: " + detached.error().message);
}

// Ends the task, as the commands of a pipeline end when their reader exits. A closed terminal only detaches it.
void Foreground::on_reader_gone() {
  left_ = visits_;
  output_.reset();
  if (stdout_is_terminal()) return detach();
  reader_gone_ = true;
  if (!visits_) stop(std::nullopt);
}

void Foreground::on_signals(const Signals& signals) {
  while (const int number = signals.next()) {
    if (number == SIGPIPE) continue;
    if (number == SIGWINCH || number == SIGCONT) {
      if (typing_ != nullptr && number == SIGCONT) typing_->resume();
      if (typing_ != nullptr) typing_->resize();
      continue;
    }
    if (number != SIGINT || (visits_ && !may_stop_)) {
      detach();
      continue;
    }
    stop(interrupted_ ? std::optional(std::chrono::milliseconds(0)) : std::nullopt);
    interrupted_ = true;
  }
}

// In a thread, since the output continues until the end. A second Ctrl-C does not wait for the grace of the first.
void Foreground::stop(std::optional<std::chrono::milliseconds> grace) {
  const auto ask = [this, grace] {
    auto stopped = manager_.stop(
        id_, {.reason = reader_gone_ ? "The reader of its output has exited" : "Stopped by the user who ran it",
              .grace = grace});
    if (!stopped && stopped.error().code != ErrorCode::task_not_found) note("perdure: " + stopped.error().message);
  };
  std::jthread& thread = grace ? second_ : first_;
  if (thread.joinable()) return;
  try {
    thread = std::jthread(ask);
  } catch (const std::system_error&) {
    output_.reset();  // no thread available: this call blocks, so the output is dropped
    ask();
  }
}

Result<PipeEnds> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fail_errno("making a pipe for", "the output");
  return PipeEnds{.out = Fd(ends[0]), .in = Fd(ends[1])};
}

}  // namespace perdure::cli
