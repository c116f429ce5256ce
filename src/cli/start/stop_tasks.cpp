#include "cli/start/stop_tasks.h"

#include "base/clock.h"
#include "base/error.h"
#include "cli/console/print.h"
#include "cli/console/text.h"

#include <fmt/format.h>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>

namespace perdure::cli {

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
        stop_one(i);  // no more threads: those of other tasks may be what uses them up
      }
    }
    std::unique_lock lock(mutex);
    while (!one_more.wait_for(lock, kProgressAfter, [&] { return done == last; }))
      progress.show(fmt::format("stopping: {} of {} have ended", done, ids.size()));
  }
  return stopped;
}

void stop_with_container(TaskManager& manager) {
  // Container engines wait 10 s between SIGTERM and SIGKILL.
  constexpr std::chrono::seconds kGrace{6};
  auto tasks = manager.list({.leftovers = true});
  if (!tasks) return note("perdure: " + harmless_line(tasks.error().message));
  std::vector<TaskId> ids;
  for (const auto& task : *tasks)
    if (!task.found.unverified && task.host.pid_namespace == own_pid_namespace()) ids.push_back(task.id);
  for (const auto& stopped : stop_each(manager, ids, {.reason = "container stopped", .grace = kGrace}))
    if (!stopped) note("perdure: " + harmless_line(stopped.error().message));
}

}  // namespace perdure::cli
