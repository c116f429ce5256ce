#include "top/terminal/terminal.h"

#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <string>
#include <vector>

namespace perdure::top {
namespace {

// Mouse as SGR, bracketed paste, and no wrapping at the edge: a character that the terminal considers wider must not
// move the rest.
constexpr std::string_view kOn = "\x1b[?7l\x1b[?1000h\x1b[?1006h\x1b[?2004h";
constexpr std::string_view kOff = "\x1b[?2004l\x1b[?1006l\x1b[?1000l\x1b[?7h\x1b[0m";
constexpr int kWritePatienceMs = 10'000;

constexpr std::array kCrashes = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
constexpr std::array kRead = {SIGWINCH, SIGTERM, SIGHUP, SIGINT, SIGTSTP, SIGCONT, SIGQUIT};

// For the handler of a crash, which may use async-signal-safe functions only.
struct AfterCrash {
  termios before{};
  char text[256]{};
  std::size_t length = 0;
  volatile sig_atomic_t armed = 0;
} after_crash;  // NOLINT(cppcoreguidelines-avoid-non-const-global-variables): a signal handler has no other access

extern "C" void restore_and_die(int signal_number) {
  if (after_crash.armed != 0) {
    after_crash.armed = 0;
    static_cast<void>(!::write(STDOUT_FILENO, after_crash.text, after_crash.length));
    ::tcsetattr(STDIN_FILENO, TCSANOW, &after_crash.before);
  }
  ::signal(signal_number, SIG_DFL);
  ::raise(signal_number);
}

sigset_t read_signals() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int one : kRead) ::sigaddset(&set, one);
  return set;
}

}  // namespace

Result<Terminal> Terminal::open() {
  if (::isatty(STDIN_FILENO) != 1 || ::isatty(STDOUT_FILENO) != 1)
    return fail(ErrorCode::usage, "top needs a terminal on its standard input and output; `perdure list` does not");
  const char* const term = std::getenv("TERM");  // NOLINT(concurrency-mt-unsafe): read before any thread
  Terminal terminal(capabilities(term));
  if (::tcgetattr(STDIN_FILENO, &terminal.before_) != 0) return fail_errno("asking", "the terminal", ErrorCode::usage);
  const sigset_t set = read_signals();
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  terminal.signals_ = Fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!terminal.signals_) return fail_errno("waiting for", "signals", ErrorCode::usage);
  after_crash.before = terminal.before_;
  const std::string text = std::string(kOff) + terminal.can_.show + terminal.can_.leave;
  after_crash.length = text.copy(after_crash.text, sizeof after_crash.text);
  for (const int one : kCrashes) {
    struct sigaction act{};
    act.sa_handler = restore_and_die;
    act.sa_flags = static_cast<int>(SA_RESETHAND);
    ::sigaction(one, &act, nullptr);
  }
  terminal.enter();
  return terminal;
}

Terminal::Terminal(Terminal&& other) noexcept
    : can_(std::move(other.can_)),
      before_(other.before_),
      signals_(std::move(other.signals_)),
      entered_(other.entered_),
      owns_(std::exchange(other.owns_, false)) {}

Terminal::~Terminal() {
  if (owns_) leave();
}

Size Terminal::size() const {
  winsize size{};
  if (::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0) return {};
  return {.rows = std::min<int>(size.ws_row, 1000), .columns = std::min<int>(size.ws_col, 2000)};
}

bool Terminal::write(std::string_view bytes) const {
  while (!bytes.empty()) {
    const ssize_t n = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (n > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(n));
    } else if (n < 0 && errno == EAGAIN) {
      pollfd ready{.fd = STDOUT_FILENO, .events = POLLOUT, .revents = 0};
      if (::poll(&ready, 1, kWritePatienceMs) <= 0) return false;
    } else if (n < 0 && errno != EINTR) {
      return false;
    }
  }
  return true;
}

void Terminal::enter() {
  if (entered_) return;
  entered_ = true;
  termios raw = before_;
  ::cfmakeraw(&raw);
  after_crash.armed = 1;
  ::tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
  static_cast<void>(write(can_.enter + can_.hide + std::string(kOn)));
}

void Terminal::leave() {
  if (!entered_) return;
  entered_ = false;
  static_cast<void>(write(std::string(kOff) + can_.show + can_.leave));
  ::tcsetattr(STDIN_FILENO, TCSADRAIN, &before_);
  after_crash.armed = 0;
}

void Terminal::suspend() {
  leave();

  ::kill(::getpid(), SIGSTOP);
  enter();
}

bool Terminal::run(const std::vector<std::string>& command) {
  std::vector<char*> arguments;
  arguments.reserve(command.size() + 1);
  for (const auto& one : command) arguments.push_back(const_cast<char*>(one.c_str()));
  arguments.push_back(nullptr);
  leave();
  const sigset_t set = read_signals();
  const pid_t child = ::fork();
  if (child == 0) {
    ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
    ::execvp(arguments[0], arguments.data());
    ::_exit(127);
  }
  int status = 0;
  while (child > 0 && ::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  enter();
  return child > 0 && !(WIFEXITED(status) && WEXITSTATUS(status) == 127);
}

}  // namespace perdure::top
