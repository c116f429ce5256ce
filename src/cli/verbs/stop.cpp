#include "base/error.h"
#include "cli/console/call.h"
#include "cli/console/print.h"
#include "cli/console/text.h"
#include "cli/verbs/verbs.h"

#include <signal.h>

#include <fmt/format.h>

#include <array>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <system_error>
#include <thread>

namespace perdure::cli {
namespace {

constexpr Option kStopOptions[] = {
    {"--reason", "TEXT", "why; kept in the record"},
    {"--grace", "D", "between SIGTERM and SIGKILL (default: the task's own)"},
    {"--by", "OWNER", "on behalf of this owner, who then is not told"},
    {"--all", nullptr, "every active task"},
};

// All at once: their graces run side by side.
std::vector<Result<Task>> stop_each(TaskManager& manager, const std::vector<TaskId>& ids, const StopOptions& options) {
  constexpr std::size_t kAtOnce = 32;
  constexpr std::chrono::seconds kProgressAfter{1};
  Progress progress;
  std::vector<Result<Task>> stopped(ids.size(), fail(ErrorCode::usage, ""));
  for (std::size_t first = 0; first < ids.size(); first += kAtOnce) {
    const std::size_t last = std::min(ids.size(), first + kAtOnce);
    std::mutex mutex;
    std::condition_variable one_more;
    std::size_t done = first;
    std::vector<std::jthread> threads;
    const auto stop_one = [&](std::size_t i) {
      stopped[i] = manager.stop(ids[i], options);
      const std::scoped_lock lock(mutex);
      ++done;
      one_more.notify_one();
    };
    for (std::size_t i = first; i < last; ++i) {
      try {
        threads.emplace_back(stop_one, i);
      } catch (const std::system_error&) {
        stop_one(i);  // no thread to be had: the tasks that took them all are perhaps the ones to stop
      }
    }
    std::unique_lock lock(mutex);
    while (!one_more.wait_for(lock, kProgressAfter, [&] { return done == last; }))
      progress.show(fmt::format("stopping: {} of {} have ended", done, ids.size()));
  }
  return stopped;
}

Result<int> stop(Call& call) {
  auto ids = call.ids();
  auto grace = call.duration("--grace");
  if (!ids) return std::unexpected(ids.error());
  if (!grace) return std::unexpected(grace.error());
  auto manager = call.manager(Call::BadConfig::is_noted);
  if (!manager) return std::unexpected(manager.error());
  if (call.has("--all")) {
    if (!ids->empty()) return fail(ErrorCode::usage, "--all and task ids exclude each other");
    auto active = (*manager)->list();
    if (!active) return std::unexpected(active.error());
    for (const auto& task : *active) ids->push_back(task.id);
  } else if (ids->empty()) {
    return fail(ErrorCode::task_id_empty, "no task id: name the tasks to stop, or say --all");
  }
  const StopOptions options{.reason = call.value("--reason").value_or(""), .grace = *grace, .by = call.value("--by")};
  const auto stopped = stop_each(**manager, *ids, options);
  std::vector<Task> tasks;
  std::optional<Error> error;
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
