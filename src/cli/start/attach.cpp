#include "cli/start/attach.h"

#include "base/error.h"
#include "cli/console/print.h"
#include "cli/console/text.h"
#include "cli/start/attended.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <thread>

namespace perdure::cli {
namespace {

// Writes the output of a task from `offset` on into a pipe, until it ends or the pipe's reader closes it.
void follow(const TaskManager& manager, const TaskId& id, std::int64_t offset, const Fd& pipe, int cancel_fd) {
  constexpr std::int64_t kWindow = 65'536;
  while (true) {
    auto chunk = manager.read_output(id, offset, kWindow);
    if (!chunk && chunk.error().code == ErrorCode::output_expired) {
      const auto next = parse_integer(chunk.error().details["nextOffset"], 0, INT64_MAX);
      if (!next) return;
      offset = *next;
      continue;
    }
    if (!chunk) return;
    std::string_view rest = chunk->bytes;
    while (!rest.empty()) {
      const ssize_t n = ::write(pipe.get(), rest.data(), rest.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return;
      rest.remove_prefix(static_cast<std::size_t>(n));
    }
    offset = chunk->next_offset;
    pollfd cancelled{.fd = cancel_fd, .events = POLLIN, .revents = 0};
    if (chunk->eof || ::poll(&cancelled, 1, 0) > 0) return;
    if (chunk->bytes.empty() && !manager.await_output(id, offset, std::nullopt, Cancellation::when_readable(cancel_fd)))
      return;
  }
}

// Offset at which the last `lines` lines of the output begin.
Result<std::int64_t> start_of_last_lines(const TaskManager& manager, const TaskId& id, int lines) {
  constexpr std::int64_t kTail = 16'384;
  auto shown = manager.output_snapshot(id, 0);
  if (!shown) return std::unexpected(shown.error());
  if (lines <= 0) return shown->size_bytes;
  const std::int64_t from = std::max<std::int64_t>(0, shown->size_bytes - kTail);
  auto chunk = manager.read_output(id, from, kTail);
  if (!chunk) return shown->size_bytes;
  std::size_t at = chunk->bytes.size();
  for (int i = 0; i <= lines && at != std::string::npos && at > 0; ++i) at = chunk->bytes.rfind('\n', at - 1);
  return from + (at == std::string::npos || at == 0 ? 0 : static_cast<std::int64_t>(at) + 1);
}

}  // namespace

Result<int> attach(TaskManager& manager, const TaskId& id, const std::string& detach_keys, bool read_only) {
  auto key = parse_detach_keys(detach_keys);
  if (!key) return std::unexpected(key.error());
  auto task = manager.get(id);
  if (!task) return std::unexpected(task.error());
  if (manager.own_task() == id) return fail(ErrorCode::usage, fmt::format("{} can't attach to itself", id.str()));
  if (is_terminal(task->status))
    return fail(ErrorCode::task_not_running, fmt::format("{} has ended: see `perdure output {}`", id.str(), id.str()));
  if (task->status == Status::queued || task->kind != Kind::process)
    return fail(ErrorCode::usage, fmt::format("{} has no terminal and no input to attach to", id.str()));
  const bool has_terminal = task->process.input == "terminal";
  TerminalSettings settings;
  std::optional<Typing> typing;
  const Signals signals;
  if (!read_only) {
    auto held = manager.hold_input(id);
    if (!held && held.error().code == ErrorCode::usage)
      held.error().message += fmt::format("; watch it with `perdure attach {} --read-only`", id.str());
    if (!held) return std::unexpected(held.error());
    typing.emplace(manager, id, std::move(*held), *key, settings);
  }
  auto from = start_of_last_lines(manager, id, has_terminal ? 0 : 10);
  if (!from) return std::unexpected(from.error());
  auto ends = make_pipe();
  if (!ends) return std::unexpected(ends.error());
  const Fd cancel(::eventfd(0, EFD_CLOEXEC));
  Screen screen(!has_terminal ? Screen::How::safe : read_only ? Screen::How::watched : Screen::How::as_it_is);
  Foreground visit(manager, id, std::move(ends->out), screen);
  visit.only_visit(!read_only);
  if (typing) visit.type_with(*typing);
  if (!has_terminal || read_only) settings.set_quit_key(*key);
  Result<bool> stayed = true;
  {
    std::jthread follower([&] {
      follow(manager, id, *from, ends->in, cancel.get());
      ends->in.reset();
    });
    if (typing) typing->redraw();
    stayed = visit.attend(signals, settings);
    const std::uint64_t one = 1;
    static_cast<void>(::write(cancel.get(), &one, sizeof one) == 0);
    visit.drop_output();
  }
  screen.leave();
  settings.restore();
  typing.reset();
  if (!stayed) return std::unexpected(stayed.error());
  if (visit.is_reader_gone()) return kReaderGone;
  if (!*stayed) {
    note(fmt::format("perdure: left {}, which runs on", id.str()));
    return 0;
  }
  auto waited =
      manager.wait({.ids = {id}, .cancel = Cancellation::when_readable(signals.fd()), .part_of_longer_wait = true});
  if (!waited) return std::unexpected(waited.error());
  note(fmt::format("perdure: {}: {}", id.str(), outcome_text(waited->only())));
  return exit_status_of(waited->only());
}

}  // namespace perdure::cli
