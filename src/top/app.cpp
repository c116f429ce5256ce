#include "top/app.h"

#include "base/clock.h"
#include "base/error.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>

namespace perdure::top {
namespace {

constexpr std::int64_t kFrameMs = 50;   // a log that floods is drawn at most this often
constexpr std::int64_t kEscapeMs = 40;  // an escape without a following byte is the key
constexpr std::int64_t kSecondMs = 1000;

}  // namespace

App::App(TaskManager& manager, Options options, Terminal& terminal, Fd wake)
    : manager_(manager),
      options_(std::move(options)),
      terminal_(terminal),
      wake_(std::move(wake)),
      index_(manager),
      screen_(terminal.can()),
      keys_(terminal.can().keys),
      list_(index_),
      actions_(wake_.get()) {}

Result<int> App::run() {
  if (auto filled = index_.fill(); !filled) return std::unexpected(filled.error());
  if (!terminal_.can().known) say("unknown TERM: taken for xterm-256color");
  while (exit_ < 0) {
    if (dirty_) {
      dirty_ = false;
      draw();
      if (!terminal_.write(screen_.take_changes())) return 1;
    }
    wait();
  }
  if (actions_.busy()) {
    // A requested stop continues in the task's runner without this process.
    terminal_.leave();
    std::_Exit(exit_);
  }
  return exit_;
}

// Milliseconds until something has to be redrawn although no event came.
std::optional<std::int64_t> App::next_due(std::int64_t now) const {
  std::optional<std::int64_t> wait;
  const auto sooner = [&wait](std::int64_t ms) {
    wait = std::min(wait.value_or(INT64_MAX), std::max<std::int64_t>(ms, 0));
  };
  if (key_waits_ > 0) sooner(key_waits_ + kEscapeMs - now);
  if (log_waits_) sooner(log_drawn_ + kFrameMs - now);
  if (shown_ == Shown::list)
    if (const auto due = list_.due()) sooner(*due - now_ms() + 1);
  if (shown_ == Shown::processes) sooner(kSecondMs);
  if (shown_ == Shown::question && question_ && question_->task().limits.timeout_ms.value_or(0) > 0) sooner(kSecondMs);
  return wait;
}

void App::wait() {
  const std::int64_t before = steady_ms();
  const auto due = next_due(before);
  std::array<pollfd, 5> fds{{{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0},
                             {.fd = terminal_.signals(), .events = POLLIN, .revents = 0},
                             {.fd = index_.fd(), .events = POLLIN, .revents = 0},
                             {.fd = wake_.get(), .events = POLLIN, .revents = 0},
                             {.fd = log_waits_ ? -1 : log_watch_.fd(), .events = POLLIN, .revents = 0}}};
  const int n = ::poll(fds.data(), fds.size(), due ? static_cast<int>(std::min<std::int64_t>(*due, INT32_MAX)) : -1);
  if (n < 0 && errno != EINTR) {
    exit_ = 1;
    return;
  }
  const std::int64_t now = steady_ms();
  if (n <= 0) {
    // The clock, or the rest of an escape sequence that did not come.
    if (key_waits_ > 0 && now - key_waits_ >= kEscapeMs) on_input();
    if (processes_of_ && shown_ == Shown::processes) show_processes(*processes_of_);
    if (log_waits_) on_log(now);
    dirty_ = true;
    return;
  }
  if (fds[1].revents != 0) on_signals();
  if (exit_ >= 0) return;
  if (fds[0].revents != 0) {
    if ((fds[0].revents & POLLIN) == 0) exit_ = 0;  // the terminal was closed
    on_input();
  }
  if (fds[2].revents != 0) on_index();
  if (fds[3].revents != 0) on_wake();
  if (fds[4].revents != 0 || log_waits_) on_log(now);
}

void App::on_input() {
  std::array<char, 65536> bytes{};
  pollfd ready{.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
  bool came = false;
  if (::poll(&ready, 1, 0) > 0) {
    const ssize_t n = ::read(STDIN_FILENO, bytes.data(), bytes.size());
    if (n == 0 || (n < 0 && errno != EINTR && errno != EAGAIN)) {
      exit_ = 0;
      return;
    }
    came = n > 0;
    if (came) keys_.add({bytes.data(), static_cast<std::size_t>(n)});
  }
  for (const auto& key : keys_.take(!came)) {
    if (exit_ >= 0) return;
    const Shown before = shown_;
    on_key(key);
    // Redrawn first: the next key moves in the shown screen, and only drawing tells it its size.
    if (shown_ != before) draw();
  }
  key_waits_ = keys_.is_waiting() ? steady_ms() : 0;
  dirty_ = true;
}

void App::on_signals() {
  signalfd_siginfo signal{};
  while (exit_ < 0 && ::read(terminal_.signals(), &signal, sizeof signal) == sizeof signal) {
    const int number = static_cast<int>(signal.ssi_signo);
    if (number == SIGTSTP) {
      terminal_.suspend();
      screen_.forget();
    } else if (number == SIGCONT) {
      screen_.forget();
    } else if (number != SIGWINCH) {
      exit_ = number == SIGINT ? 130 : 128 + number;
    }
  }
  dirty_ = true;
}

void App::on_index() {
  auto changes = index_.update();
  if (!changes) {
    say(changes.error().message);
    dirty_ = true;
    return;
  }
  dirty_ = dirty_ || changes->any();
  // The folder of a log may appear with the task's first output.
  if (changes->any()) log_watch_.watch(index_.folder_of(log_id_));
}

void App::on_log(std::int64_t now) {
  log_watch_.drain();
  if (now - log_drawn_ < kFrameMs) {
    log_waits_ = true;
    return;
  }
  log_waits_ = false;
  log_drawn_ = now;
  if (log_) log_->on_growth();
  if (activity_) activity_->on_growth();
  dirty_ = true;
}

void App::on_wake() {
  std::uint64_t times = 0;
  static_cast<void>(!::read(wake_.get(), &times, sizeof times));
  for (auto& said : actions_.take()) say(std::move(said));
  if (log_) log_->on_wake();
  if (activity_) activity_->on_wake();
  dirty_ = true;
}

Result<int> show(TaskManager& manager, const Options& options) {
  Fd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake) return fail_errno("waiting for", "threads");
  auto terminal = Terminal::open();
  if (!terminal) return std::unexpected(terminal.error());
  App app(manager, options, *terminal, std::move(wake));
  return app.run();
}

}  // namespace perdure::top
