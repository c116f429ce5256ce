#include "base/error.h"
#include "base/try.h"
#include "cli/console/call.h"
#include "cli/console/print.h"
#include "cli/console/text.h"
#include "cli/start/task_options.h"
#include "cli/verbs/verbs.h"

#include <fmt/format.h>

namespace perdure::cli {
namespace {

constexpr Option kEditOptions[] = {
    {"-c", "LINE", "run this line instead; or give another command behind --"},
    {"--shell", "PATH", "the shell for -c"},
    {"--description", "TEXT", "what it is"},
    {"--priority", "N", "place in the queue: 0 to 999, the higher the sooner; behind those that have it"},
    {"--before", "ID", "place in the queue: right before that task"},
    {"--first", nullptr, "place in the queue: before all others"},
    {"--timeout", "D", "end it after that long, 0: never"},
    {"--idle-timeout", "D", "end it when it has printed nothing for so long, 0: never"},
    {"--grace", "D", "between the request to end and SIGKILL"},
    {"--output-limit", "S", "keep at most so much output, 0: all of it"},
    {"--memory-max", "S", "memory of all its processes, 0: no limit"},
    {"--cpu-max", "N", "processors for all its processes, 0: no limit"},
    {"--pids-max", "N", "number of its processes and threads, 0: no limit"},
    kYesOption,
};

Result<EditOptions> read_edit(Call& call) {
  EditOptions edit;
  auto timeout = call.duration("--timeout");
  auto idle = call.duration("--idle-timeout");
  auto grace = call.duration("--grace");
  auto output = call.size("--output-limit");
  auto memory = call.size("--memory-max");
  auto pids = call.integer("--pids-max", 0, INT32_MAX);
  auto priority = call.integer("--priority", 0, 999);
  for (const Error* error :
       {timeout ? nullptr : &timeout.error(), idle ? nullptr : &idle.error(), grace ? nullptr : &grace.error(),
        output ? nullptr : &output.error(), memory ? nullptr : &memory.error(), pids ? nullptr : &pids.error(),
        priority ? nullptr : &priority.error()})
    if (error != nullptr) return std::unexpected(*error);
  edit.shell_line = call.value("-c");
  if (edit.shell_line && call.has_command)
    return fail(ErrorCode::usage, "both -c and a command behind -- were given: choose one");
  if (call.has_command && call.command.empty()) return fail(ErrorCode::usage, "expected a command after --");
  edit.argv = call.command;
  if (auto shell = call.value("--shell")) {
    if (!edit.shell_line) return fail(ErrorCode::usage, "--shell is for -c");
    edit.shell = *shell;
  }
  edit.description = call.value("--description");
  edit.timeout = *timeout;
  edit.idle_timeout = *idle;
  edit.grace = *grace;
  edit.output_limit = *output;
  edit.memory_max = *memory;
  edit.pids_max = *pids;
  if (*priority) edit.priority = static_cast<int>(**priority);
  edit.first = call.has("--first");
  if (const auto before = call.value("--before")) {
    auto id = call.resolve(*before, Call::Use::looks);
    if (!id) return std::unexpected(id.error());
    edit.before = std::move(*id);
  }
  TRY(edit.cpu_max, read_cpu_max(call));
  return edit;
}

Result<int> run_edit(Call& call) {
  auto id = call.id(Call::Use::acts);
  if (!id) return std::unexpected(id.error());
  auto edit = read_edit(call);
  if (!edit) return std::unexpected(edit.error());
  if (call.given.empty() && !call.has_command)
    return fail(ErrorCode::usage, "nothing to change: give another command, place or limit");
  auto manager = call.manager();
  if (!manager) return std::unexpected(manager.error());
  auto task = (*manager)->edit(*id, *edit);
  if (!task) return std::unexpected(task.error());
  if (call.json) {
    put_line(task_json(*task));
  } else if (task->queue.place) {
    put_line(fmt::format("{}: number {} in the queue", task->id.str(), *task->queue.place));
  } else {
    put_line(task->id.str());
  }
  return 0;
}

}  // namespace

const Verb kEditVerb{"edit", "ID [-- COMMAND ARGS...]", "change a task that waits in the queue", kEditOptions, run_edit,
                     true};

}  // namespace perdure::cli
