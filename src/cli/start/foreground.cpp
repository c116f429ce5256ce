#include "cli/start/foreground.h"

#include "cli/console/print.h"
#include "cli/console/text.h"
#include "cli/start/attach.h"
#include "cli/start/attended.h"

#include <unistd.h>

#include <fmt/format.h>

#include <optional>

namespace perdure::cli {
namespace {

constexpr int kDetached = 75;  // the task continues, as after a wait whose timeout expired

}  // namespace

Result<int> run_in_foreground(TaskManager& manager, StartOptions start, const std::string& detach_keys,
                              TypedInput input) {
  auto key = parse_detach_keys(detach_keys);
  if (!key) return std::unexpected(key.error());
  auto ends = make_pipe();
  if (!ends) return std::unexpected(ends.error());
  // With a terminal of its own, standard input is typed to the task, except /dev/null.
  const bool is_typed =
      input == TypedInput::callers && (::isatty(STDIN_FILENO) == 1 || (start.terminal && !is_nothing_to_read()));
  if (input == TypedInput::callers && !start.terminal) {
    start.input = is_typed ? Input::pipe : Input::inherit;
    if (!is_typed) start.input_fd = STDIN_FILENO;
  }
  start.detached = false;
  start.stream_fd = ends->in.get();
  const Signals signals;
  auto task = manager.start(start);
  if (!task) return std::unexpected(task.error());
  ends->in.reset();
  if (task->found.existing) return attach(manager, task->id, detach_keys, false);
  TerminalSettings settings;
  Screen screen(Screen::How::as_it_is);
  Foreground foreground(manager, task->id, std::move(ends->out), screen);
  std::optional<Typing> typing;
  if (is_typed)
    if (auto held = manager.hold_input(task->id)) {
      typing.emplace(manager, task->id, std::move(*held), *key, settings);
      foreground.type_with(*typing);
    }
  if (!start.terminal || !is_typed) settings.set_quit_key(*key);
  auto attended = foreground.attend(signals, settings);
  if (!attended) return std::unexpected(attended.error());
  auto released = foreground.await_release(signals);
  screen.leave();
  settings.restore();
  typing.reset();
  if (!released) return std::unexpected(released.error());
  if (foreground.is_reader_gone()) return kReaderGone;
  if (released->how != Release::terminal) {
    note(task->id.str());
    return kDetached;
  }
  if (released->task.status != Status::completed && released->task.status != Status::failed)
    note("perdure: " + outcome_text(released->task));
  if (released->task.process.leftovers.value_or(0) > 0)
    note(fmt::format("perdure: {0} processes that the command started live on: `perdure stop {1}` ends them",
                     *released->task.process.leftovers, task->id.str()));
  return exit_status_of(released->task);
}

}  // namespace perdure::cli
