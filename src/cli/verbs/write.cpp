#include "base/error.h"
#include "base/fd.h"
#include "base/json_writer.h"
#include "base/terminal_line.h"
#include "cli/console/call.h"
#include "cli/console/print.h"
#include "cli/console/text.h"
#include "cli/verbs/verbs.h"

#include <poll.h>
#include <unistd.h>

#include <fmt/format.h>

#include <cerrno>

namespace perdure::cli {
namespace {

constexpr Option kWriteOptions[] = {
    {"--eof", nullptr, "close its input afterwards, as the end of a file does"},
    kYesOption,
};

std::unexpected<Error> gone(const TaskId& id) {
  return fail(ErrorCode::task_not_running,
              fmt::format("the command of {} reads no more: it has ended, or has closed its input", id.str()));
}

// Waits for `fd`. False: it is not ready, and the reader of `other_fd` has closed it, which poll() always reports.
bool wait_for(int fd, short events, int other_fd) {
  pollfd look[2] = {{.fd = fd, .events = events, .revents = 0}, {.fd = other_fd, .events = 0, .revents = 0}};
  while (::poll(look, 2, -1) < 0 && errno == EINTR) {
  }
  return look[0].revents != 0 || (look[1].revents & (POLLERR | POLLHUP)) == 0;
}

Result<> write_all_to(int input, std::string_view bytes, const TaskId& id) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(input, bytes.data(), bytes.size());
    if (n >= 0) {
      bytes.remove_prefix(static_cast<std::size_t>(n));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN) return gone(id);
    wait_for(input, POLLOUT, -1);
  }
  return {};
}

// Copies standard input. If the command exits, the user learns it at once, not after the next line.
Result<std::int64_t> copy(int input, const TaskId& id) {
  std::int64_t copied = 0;
  TerminalLine line;
  char part[65536];
  while (true) {
    if (!wait_for(STDIN_FILENO, POLLIN, input)) return gone(id);
    const ssize_t n = ::read(STDIN_FILENO, part, sizeof part);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("reading", "the standard input", ErrorCode::usage);
    if (n == 0) return copied;
    const std::string_view all(part, static_cast<std::size_t>(n));
    const std::string_view taken = all.substr(0, line.fits(input, all));
    if (auto written = write_all_to(input, taken, id); !written) return std::unexpected(written.error());
    copied += static_cast<std::int64_t>(taken.size());
    if (taken.size() < all.size())
      return fail(
          ErrorCode::usage,
          fmt::format("the terminal of {} takes lines of at most {} bytes, and a longer one came: {} bytes were "
                      "written, the rest was not",
                      id.str(), kMostTerminalLine, copied));
  }
}

Result<int> write(Call& call) {
  auto id = call.id(Call::Use::acts);
  if (!id) return std::unexpected(id.error());
  auto manager = call.manager();
  if (!manager) return std::unexpected(manager.error());
  auto opened = (*manager)->open_input(*id);
  if (!opened) return std::unexpected(opened.error());
  Fd input(opened->release());
  auto copied = copy(input.get(), *id);
  if (!copied) return std::unexpected(copied.error());
  input.reset();
  if (call.has("--eof"))
    if (auto closed = (*manager)->close_input(*id); !closed) return std::unexpected(closed.error());
  if (call.json)
    put_line(JsonObject().add("taskId", id->str()).add("bytes", *copied).add("eof", call.has("--eof")).str());
  return 0;
}

}  // namespace

const Verb kWriteVerb{"write", "ID", "copy standard input to a task's command", kWriteOptions, write, true};

}  // namespace perdure::cli
