#include "base/error.h"
#include "cli/console/call.h"
#include "cli/console/print.h"
#include "cli/start/task_options.h"
#include "cli/verbs/verbs.h"

#include <fmt/format.h>

#include <array>

namespace perdure::cli {
namespace {

constexpr std::array<std::string_view, 3> kIfRunning = {"return", "refuse", "replace"};

constexpr Option kOptions[] = {
    {"--if-running", "return|refuse|replace", "where it, or a task of its name, is live (default: refuse)"},
    {"--queue", nullptr, "over the cap: wait for a slot, instead of a refusal"},
    {"--priority", "N", "place in the queue: 0 to 999, the higher the sooner (default: 0)"},
    {"--wait", nullptr, "print the id, then wait and exit with its outcome"},
    kYesOption,
};

Result<int> run(Call& call) {
  auto id = call.id(Call::Use::repeats);
  auto if_running = call.word("--if-running", kIfRunning);
  auto priority = call.integer("--priority", 0, 999);
  if (!id) return std::unexpected(id.error());
  if (!if_running) return std::unexpected(if_running.error());
  if (!priority) return std::unexpected(priority.error());
  if (call.has("--priority") && !call.has("--queue")) return fail(ErrorCode::usage, "--priority is for --queue");
  RerunOptions options{.queue = call.has("--queue"), .priority = static_cast<int>(priority->value_or(0))};
  if (*if_running)
    options.if_running = *if_running == "return"   ? IfRunning::give_back
                         : *if_running == "refuse" ? IfRunning::refuse
                                                   : IfRunning::replace;
  auto manager = call.manager();
  if (!manager) return std::unexpected(manager.error());
  auto task = (*manager)->rerun(*id, options);
  if (!task) return std::unexpected(task.error());
  if (task->found.existing) {
    note(fmt::format("perdure: {} runs already", task->id.str()));
  } else {
    note_done(fmt::format("started {}", task->id.str()));
  }
  put_line(call.json ? task_json(*task) : task->id.str());
  if (!call.has("--wait")) return 0;
  return wait_for_outcome(**manager, *task, call.json);
}

}  // namespace

const Verb kRerunVerb{"rerun", "ID", "start the command of a task again, as a new task", kOptions, run, true};

}  // namespace perdure::cli
