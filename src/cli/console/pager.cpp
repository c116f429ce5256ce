#include "cli/console/pager.h"

#include "base/fd.h"
#include "cli/console/call.h"
#include "cli/console/print.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <string_view>

namespace perdure::cli {
namespace {

constexpr int kNotThere = 127;

// The pager as a command for a shell; "" for none.
std::string pager_line() {
  const char* const wanted = std::getenv("PAGER");  // NOLINT(concurrency-mt-unsafe): never changed here
  if (wanted == nullptr) return "less || more";
  return std::string_view(wanted) == "cat" ? "" : wanted;
}

// Upper bound of the number of rows: bytes that print nothing are counted.
std::size_t rows_of(std::string_view text, std::size_t columns) {
  std::size_t rows = 0;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    rows += 1 + end / std::max<std::size_t>(1, columns);
    text.remove_prefix(std::min(text.size(), end + 1));
  }
  return rows;
}

// False: it could not be started.
bool page(const std::string& line, std::string_view text) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return false;
  Fd reader(ends[0]), writer(ends[1]);
  // Colours pass, and text that fits stays on the screen, as with git. A user's own setting is kept.
  ::setenv("LESS", "FRX", 0);  // NOLINT(concurrency-mt-unsafe): on the main thread, with no other
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawnattr_init(&attributes);
  ::posix_spawn_file_actions_adddup2(&actions, reader.get(), STDIN_FILENO);
  sigset_t defaults;
  sigemptyset(&defaults);
  sigaddset(&defaults, SIGPIPE);
  ::posix_spawnattr_setsigdefault(&attributes, &defaults);
  ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
  std::string shell = "sh", option = "-c", command = line;
  char* const argv[] = {shell.data(), option.data(), command.data(), nullptr};
  pid_t pid = 0;
  const int error = ::posix_spawn(&pid, "/bin/sh", &actions, &attributes, argv, environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::posix_spawnattr_destroy(&attributes);
  if (error != 0) return false;
  reader.reset();
  struct sigaction ignored{}, before{};
  ignored.sa_handler = SIG_IGN;
  ::sigaction(SIGINT, &ignored, &before);  // Ctrl-C is for the pager
  while (!text.empty()) {
    const ssize_t n = ::write(writer.get(), text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) break;  // the user quit the pager
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  writer.reset();
  int status = 0;
  while (::waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  ::sigaction(SIGINT, &before, nullptr);
  return !WIFEXITED(status) || WEXITSTATUS(status) != kNotThere;
}

}  // namespace

Pager::Pager()
    : is_wanted_(stdout_is_terminal() && environment("TERM").value_or("dumb") != "dumb" && !pager_line().empty()) {
  if (is_wanted_) hold_back_output(&text_);
}

Pager::~Pager() {
  if (!is_wanted_) return;
  hold_back_output(nullptr);
  winsize size{};
  const bool is_long = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 && size.ws_col > 0 &&
                       rows_of(text_, size.ws_col) >= size.ws_row;
  if (!is_long || !page(pager_line(), text_)) put(text_);
}

}  // namespace perdure::cli
