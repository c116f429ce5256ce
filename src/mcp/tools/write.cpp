#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "mcp/service/describe.h"
#include "mcp/service/tool.h"

#include <poll.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

namespace perdure::mcp {
namespace {

constexpr std::int64_t kPatienceMs = 10'000;  // for a command that does not read, while the caller waits for us
constexpr std::size_t kPart = 4096;           // what a pipe that has room at all takes at once (PIPE_BUF)

constexpr Parameter kParameters[] = {
    {.name = "task_id", .description = "The task, as TaskList named it.", .required = true},
    {.name = "text", .description = "What it shall read; nothing is added, so end a line with \\n.", .required = true},
    {.name = "eof",
     .type = Parameter::Type::boolean,
     .description = "Close its input afterwards.",
     .default_text = "false"},
    kAllOwners,
};
constexpr Parameter kAnswers[] = {
    {.name = "task_id", .description = "the task", .required = true},
    {.name = "status", .description = "running", .required = true},
    {.name = "written_bytes",
     .type = Parameter::Type::integer,
     .description = "how much of the text it took",
     .required = true},
    {.name = "closed", .type = Parameter::Type::boolean, .description = "its input is at its end", .required = true},
};

// How many bytes it took before it went, or stopped reading for too long.
Result<std::size_t> write_to(int input, std::string_view text, int stop_fd) {
  const std::int64_t until = steady_ms() + kPatienceMs;
  std::size_t done = 0;
  while (done < text.size()) {
    pollfd fds[] = {{.fd = input, .events = POLLOUT, .revents = 0}, {.fd = stop_fd, .events = POLLIN, .revents = 0}};
    const int n = ::poll(fds, 2, static_cast<int>(std::max<std::int64_t>(0, until - steady_ms())));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0 || fds[1].revents != 0) return done;
    const ssize_t wrote = ::write(input, text.data() + done, std::min(kPart, text.size() - done));
    if (wrote < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (wrote < 0 && errno == EPIPE) return done;
    if (wrote < 0) return fail_errno("writing to", "the task's input");
    done += static_cast<std::size_t>(wrote);
  }
  return done;
}

ToolAnswer write(ToolCall& call) {
  auto task = call.service.find(call.request.caller, *call.arguments.text("task_id"), call.all_owners());
  if (!task) return tool_error(task.error());
  const std::string text = *call.arguments.text("text");
  std::size_t written = 0;
  if (!text.empty()) {
    auto opened = call.manager().open_input(task->id);
    if (!opened) return tool_error(opened.error());
    const Fd input(*opened);
    auto done = write_to(input.get(), text, call.stop_fd());
    if (!done) return tool_error(done.error());
    written = *done;
  }
  const bool whole = written == text.size();
  const bool closes = whole && call.arguments.is_true("eof");
  if (closes)
    if (auto closed = call.manager().close_input(task->id); !closed) return tool_error(closed.error());
  ToolResult result;
  result.structured = {
      {"task_id", task->id.str()}, {"status", name_of(task->status)}, {"written_bytes", written}, {"closed", closes}};
  result.text = lines_of(result.structured) + "\n";
  if (!whole) {
    result.is_error = true;
    result.text += fmt::format("It took {} of {} bytes and then read no more: write the rest later, or stop it.\n",
                               written, text.size());
  }
  return result;
}

}  // namespace

const Tool kTaskWriteTool{
    .name = "TaskWrite",
    .title = "Write to a task's input",
    .description =
        "Gives a running task's command something to read. Only for tasks that were started with an input "
        "(perdure run --stdin pipe, or --pty): the commands of Bash read the end of file at once.",
    .parameters = kParameters,
    .answers = kAnswers,
    .call = write};

}  // namespace perdure::mcp
