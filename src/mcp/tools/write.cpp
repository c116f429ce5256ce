#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/readable.h"
#include "base/terminal_line.h"
#include "base/try.h"
#include "base/utf8.h"
#include "mcp/service/describe.h"
#include "mcp/service/tool.h"
#include "patterns/pattern.h"

#include <poll.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>

namespace perdure::mcp {
namespace {

constexpr std::int64_t kPatienceMs = 10'000;  // for a command that does not read, while the caller waits
constexpr std::size_t kMostOfReply = 64 << 10, kMostOfLine = 4 << 10;
constexpr std::int64_t kReplyTimeout = 30;
constexpr std::size_t kPart = 4096;  // a writable pipe accepts this much at once (PIPE_BUF)

constexpr Parameter kWriteParameters[] = {
    {.name = "task_id", .description = "The task, as @TaskList named it.", .required = true},
    {.name = "text", .description = "What it shall read; nothing is added, so end a line with \\n or the key enter."},
    {.name = "keys",
     .type = Parameter::Type::texts,
     .description = "Then press: enter tab escape up down left right backspace delete home end page-up page-down space "
                    "ctrl-LETTER, or a character.",
     .least = 1,
     .most = 100},
    {.name = "eof",
     .type = Parameter::Type::boolean,
     .description = "Close its input afterwards.",
     .default_text = "false"},
    {.name = "wait_for",
     .description = "Then wait until its output matches this regular expression, and return that output."},
    {.name = "timeout",
     .type = Parameter::Type::integer,
     .description = "Seconds to wait with wait_for.",
     .least = 1,
     .most = 600,
     .default_text = "30"},
    kAllOwners,
};
constexpr Parameter kWriteAnswers[] = {
    {.name = "task_id", .description = "the task", .required = true},
    {.name = "status", .description = "running", .required = true},
    {.name = "written_bytes",
     .type = Parameter::Type::integer,
     .description = "how much of the text it took",
     .required = true},
    {.name = "closed", .type = Parameter::Type::boolean, .description = "its input is at its end", .required = true},
    {.name = "output", .description = "with wait_for: what it printed since"},
    {.name = "matched", .type = Parameter::Type::boolean, .description = "with wait_for: whether it came true"},
};

struct Key {
  std::string_view name, bytes;
};
// As xterm sends them in normal mode. A terminal converts the carriage return to a line end; a pipe needs a line end.
constexpr std::array<Key, 17> kKeys = {{{"enter", "\r"},
                                        {"tab", "\t"},
                                        {"shift-tab", "\x1b[Z"},
                                        {"escape", "\x1b"},
                                        {"up", "\x1b[A"},
                                        {"down", "\x1b[B"},
                                        {"right", "\x1b[C"},
                                        {"left", "\x1b[D"},
                                        {"backspace", "\x7f"},
                                        {"delete", "\x1b[3~"},
                                        {"home", "\x1b[H"},
                                        {"end", "\x1b[F"},
                                        {"page-up", "\x1b[5~"},
                                        {"page-down", "\x1b[6~"},
                                        {"space", " "},
                                        {"return", "\r"},
                                        {"esc", "\x1b"}}};

// The bytes of a key. The error is for the model.
std::expected<std::string, std::string> bytes_of(std::string_view key, bool is_terminal) {
  constexpr std::string_view kControl = "ctrl-";
  if (const auto found = std::ranges::find(kKeys, key, &Key::name); found != kKeys.end())
    return found->bytes == "\r" && !is_terminal ? std::string("\n") : std::string(found->bytes);
  if (key.starts_with(kControl) && key.size() == kControl.size() + 1) {
    const char c = key.back();
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '[' && c <= '_'))
      return std::string(1, static_cast<char>(c & 0x1F));
  }
  if (key.size() == 1 ||
      (key.size() <= 4 && is_valid_utf8(key) && continuation_prefix(key.substr(1)) == key.size() - 1))
    return std::string(key);
  return std::unexpected(
      fmt::format("keys: expected enter, tab, escape, up, down, left, right, backspace, delete, home, end, page-up, "
                  "page-down, space, ctrl-LETTER or one character, got '{}'",
                  to_plain_text(key, false)));
}

// How many bytes were written before the command exited, or stopped reading for too long.
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

// A terminal echoes the typed text: the echo, or a part of it, is not an answer.
std::string_view without_echo(std::string_view output, std::string_view typed) {
  std::string echo;
  for (const char c : typed) {
    if (c == '\n' || c == '\r') {
      echo += "\r\n";
    } else {
      echo += c;
    }
  }
  if (output.starts_with(echo)) return output.substr(echo.size());
  return echo.starts_with(output) ? std::string_view() : output;
}

struct CommandReply {
  bool matched = false;
  std::string output;
  std::int64_t next_offset = 0;
};

// Reads the command's output after `offset` until it matches, the command has ended, or the time is over.
Result<CommandReply> await_reply(const ToolCall& call, const TaskId& id, std::int64_t offset, std::string_view typed,
                                 const patterns::Pattern& pattern, std::chrono::seconds timeout) {
  const std::int64_t until = steady_ms() + std::chrono::milliseconds(timeout).count();
  std::string seen;
  CommandReply reply{.next_offset = offset};
  while (true) {
    TRY(auto chunk, call.manager().read_output(id, reply.next_offset, static_cast<std::int64_t>(kMostOfReply)));
    seen += chunk.bytes;
    reply.next_offset = chunk.next_offset;
    if (seen.size() > kMostOfReply) seen.erase(0, seen.size() - kMostOfReply);
    const std::string readable = make_readable(without_echo(seen, typed)).text;
    reply.output = std::string(end_of(readable, static_cast<std::size_t>(Service::preview_limit(call.request.caller))));
    for (std::string_view rest = readable; !rest.empty() && !reply.matched;) {
      const auto end = std::min(rest.find('\n'), rest.size());
      const std::string_view line = rest.substr(0, std::min(end, kMostOfLine));
      reply.matched = pattern.is_in(line);
      rest.remove_prefix(std::min(end + 1, rest.size()));
    }
    const std::int64_t left = until - steady_ms();
    if (reply.matched || chunk.eof || left <= 0 || call.request.call.stop.is_raised()) return reply;
    TRY_VOID(call.manager().await_output(id, reply.next_offset, std::chrono::milliseconds(left),
                                         Cancellation::when_readable(call.stop_fd())));
  }
}

std::expected<std::optional<patterns::Pattern>, std::string> pattern_in(const Arguments& arguments) {
  const auto text = arguments.text("wait_for");
  if (!text) return std::nullopt;
  auto pattern = patterns::Pattern::compile(*text);
  if (!pattern) return std::unexpected(fmt::format("wait_for: {}", pattern.error().message));
  return std::move(*pattern);
}

// The bytes of the text, followed by those of the keys.
std::expected<std::string, std::string> typed_bytes(const Arguments& arguments, bool is_terminal) {
  std::string bytes = arguments.text("text").value_or("");
  for (const auto& key : arguments.texts("keys").value_or(std::vector<std::string>())) {
    TRY(auto sent, bytes_of(key, is_terminal));
    bytes += sent;
  }
  return bytes;
}

ToolAnswer write(ToolCall& call) {
  const auto& arguments = call.arguments;
  if (!arguments.has("text") && !arguments.has("keys") && !arguments.is_true("eof"))
    return tool_error("text: is required, or keys, or eof");
  const auto pattern = pattern_in(arguments);
  if (!pattern) return tool_error(pattern.error());
  auto task = call.service.find(call.request.caller, *arguments.text("task_id"), call.all_owners());
  if (!task) return tool_error(task.error());
  std::string bytes;
  std::size_t written = 0;
  std::size_t taken = 0;  // a terminal would silently drop the rest (L56)
  std::int64_t offset = 0;
  if (arguments.has("text") || arguments.has("keys")) {
    auto opened = call.manager().open_input(task->id);
    if (!opened) return tool_error(opened.error());
    const Fd input(opened->release());
    auto typed = typed_bytes(arguments, ::isatty(input.get()) == 1);
    if (!typed) return tool_error(typed.error());
    bytes = std::move(*typed);
    if (*pattern) {
      const auto before = call.manager().output_snapshot(task->id, 0);
      if (!before) return tool_error(before.error());
      offset = before->size_bytes;
    }
    taken = TerminalLine().fits(input.get(), bytes);
    auto done = write_to(input.get(), std::string_view(bytes).substr(0, taken), call.stop_fd());
    if (!done) return tool_error(done.error());
    written = *done;
  }
  const bool whole = written == bytes.size();
  const bool closes = whole && arguments.is_true("eof");
  if (closes)
    if (auto closed = call.manager().close_input(task->id); !closed) return tool_error(closed.error());
  ToolResult result;
  result.structured = {
      {"task_id", task->id.str()}, {"status", name_of(task->status)}, {"written_bytes", written}, {"closed", closes}};
  std::string output;
  if (*pattern && whole) {
    auto reply = await_reply(call, task->id, offset, bytes, **pattern,
                             std::chrono::seconds(arguments.integer("timeout").value_or(kReplyTimeout)));
    if (!reply) return tool_error(reply.error());
    if (const auto now = call.manager().get(task->id)) result.structured["status"] = name_of(now->status);
    result.structured["matched"] = reply->matched;
    result.structured["next_offset"] = reply->next_offset;
    output = reply->output;
    if (!output.empty() && !output.ends_with('\n')) output += '\n';
  }
  result.text = output + lines_of(result.structured);
  if (*pattern && whole) result.structured["output"] = output;
  if (!whole) {
    result.is_error = true;
    result.text +=
        written == taken && taken < bytes.size()
            ? fmt::format("{} of {} bytes were written: its terminal takes lines of at most {} bytes.\n", written,
                          bytes.size(), kMostTerminalLine)
            : fmt::format("It took {} of {} bytes and then read no more: write the rest later, or stop it.\n", written,
                          bytes.size());
  }
  return result;
}

}  // namespace

const Tool kTaskWriteTool{
    .name = "TaskWrite",
    .title = "Write to a task's input",
    .description =
        "Types into a running task that has an input (@Bash with pty or stdin=pipe). With wait_for it returns what the "
        "command answered, so that a dialogue takes one call a turn.",
    .parameters = kWriteParameters,
    .answers = kWriteAnswers,
    .call = write};

}  // namespace perdure::mcp
