#include "base/error.h"
#include "cli/console/call.h"
#include "cli/console/print.h"
#include "cli/console/text.h"
#include "cli/start/stop_tasks.h"
#include "cli/verbs/verbs.h"

#include <signal.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace perdure::cli {
namespace {

constexpr Option kStopOptions[] = {
    {"--reason", "TEXT", "why; kept in the record"},
    {"--grace", "D", "between SIGTERM and SIGKILL (default: the task's own)"},
    {"--by", "OWNER", "on behalf of this owner, who then is not told"},
    {"--all", nullptr, "every active task"},
    kYesOption,
};

Result<int> stop(Call& call) {
  auto ids = call.ids(Call::Use::acts, Call::BadConfig::is_noted);
  auto grace = call.duration("--grace");
  if (!ids) return std::unexpected(ids.error());
  if (!grace) return std::unexpected(grace.error());
  auto manager = call.manager(Call::BadConfig::is_noted);
  if (!manager) return std::unexpected(manager.error());
  if (call.has("--all")) {
    if (!ids->empty()) return fail(ErrorCode::usage, "--all and task ids exclude each other");
    auto active = (*manager)->list({.leftovers = true});
    if (!active) return std::unexpected(active.error());
    const auto own = (*manager)->own_line();
    for (const auto& task : *active) {
      if (std::ranges::find(own, task.id) == own.end()) {
        ids->push_back(task.id);
      } else {
        note(fmt::format("perdure: {} is left out: this command runs inside it", task.id.str()));
      }
    }
  } else if (ids->empty()) {
    return fail(ErrorCode::task_id_empty, "no task id: name the tasks to stop, or say --all");
  }
  const StopOptions options{.reason = call.value("--reason").value_or(""), .grace = *grace, .by = call.value("--by")};
  const auto stopped = stop_each(**manager, *ids, options);
  std::vector<Task> tasks;
  std::optional<Error> error;
  std::string ids_of_stopped;
  for (const auto& result : stopped)
    if (result) ids_of_stopped += (ids_of_stopped.empty() ? "" : ", ") + result->id.str();
  if (!ids_of_stopped.empty()) note_done("stopped " + ids_of_stopped);
  for (const auto& result : stopped) {
    if (result) {
      tasks.push_back(*result);
      if (!call.json) put_line(fmt::format("{}  {}", result->id.str(), outcome_text(*result)));
    } else if (error && !call.json) {
      note("perdure: " + result.error().message);
    } else if (!error) {
      error = result.error();
    }
  }
  if (error) return std::unexpected(*error);
  if (call.json) put_line(tasks_json(tasks));
  return 0;
}

}  // namespace

const Verb kStopVerb{"stop", "ID...", "end tasks with everything they started", kStopOptions, stop, true};

}  // namespace perdure::cli
