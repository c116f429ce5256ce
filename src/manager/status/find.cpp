#include "manager/status/find.h"

#include "base/error.h"
#include "base/try.h"
#include "far/far_task.h"
#include "manager/status/queue.h"
#include "store/queue.h"
#include "store/records.h"
#include "store/runner_lock.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

namespace perdure::manager {
namespace {

Result<std::optional<Found>> find_queued(const store::Session& session, const TaskId& id) {
  TRY(auto entries, store::list_queue(session));
  const auto is_it = [&](const store::QueueEntry& entry) { return entry.id == id; };
  if (std::ranges::none_of(entries, is_it)) return std::nullopt;
  TRY(auto tasks, queued_tasks(session));
  for (auto& task : tasks)
    if (task.id == id) return Found{.task = std::move(task), .log = {}, .has_record = false};
  return std::nullopt;
}

Result<std::optional<Found>> find_recorded(const store::Session& session, const TaskId& id) {
  TRY(auto task, store::find_record(session, id));
  if (!task) return std::nullopt;
  return Found{.task = std::move(*task), .log = {}};
}

Result<store::LogFiles> copies(const store::LogFiles& files) {
  store::LogFiles copied;
  const auto copy = [](const Fd& fd) { return Fd(::dup(fd.get())); };
  if (files.head) copied.head = copy(files.head);
  for (const auto& segment : files.segments) copied.segments.push_back({segment.at, copy(segment.file)});
  const bool whole = static_cast<bool>(copied.head) == static_cast<bool>(files.head) &&
                     std::ranges::all_of(copied.segments, [](const auto& one) { return static_cast<bool>(one.file); });
  if (!whole) return fail_errno("reading", "the output");
  return copied;
}

Result<std::optional<Found>> find_held(HeldTasks& held, const TaskId& id) {
  const auto one = held.find(id);
  if (!one) return std::nullopt;
  const std::scoped_lock lock(one->mutex);
  if (!one->ended) return std::nullopt;
  TRY(auto files, copies(one->ended->log));
  return Found{.task = one->ended->task, .log = std::move(files), .has_record = false};
}

}  // namespace

Result<std::optional<Found>> find_task(const store::Session& session, HeldTasks& held, const TaskId& id) {
  // A queued task gets its record before its entry goes, and a foreground task before its runner answers "no". So if
  // there is neither an entry nor a foreground runner, the record is looked for once more.
  auto found = find_recorded(session, id);
  if (!found || *found || !id.has_record_form()) return found;
  if (found = find_held(held, id); !found || *found) return found;
  if (found = find_queued(session, id); !found) return found;
  if (*found) {
    auto started = find_recorded(session, id);
    return !started || *started ? std::move(started) : std::move(found);
  }
  if (auto sent = far::unplaced(session, id)) {
    auto placed = find_recorded(session, id);
    if (!placed || *placed) return placed;
    return Found{.task = std::move(*sent), .log = {}, .has_record = false};
  }
  TRY(auto look, look_at_foreground(session, id));
  if (look) return Found{.task = std::move(look->task), .log = std::move(look->log), .has_record = false};
  return find_recorded(session, id);
}

Result<std::vector<Task>> tasks_without_record(const store::Session& session, const std::vector<TaskId>& recordless) {
  auto tasks = queued_tasks(session);
  if (!tasks) return tasks;
  std::unordered_set<std::string> queued;
  for (auto& task : *tasks) {
    queued.insert(task.id.str());
    task.found.runner_gone = !store::is_runner_alive(session, task.id).value_or(true);
  }
  for (const auto& id : recordless) {
    if (auto sent = far::unplaced(session, id)) {
      tasks->push_back(std::move(*sent));
      continue;
    }
    if (queued.contains(id.str()) || !store::is_runner_alive(session, id).value_or(false)) continue;
    TRY(auto look, look_at_foreground(session, id));
    if (look) tasks->push_back(std::move(look->task));
  }
  return tasks;
}

std::unexpected<Error> unknown_task(const store::Session& session, const TaskId& id) {
  return fail(ErrorCode::task_not_found,
              fmt::format("no task {} in {}: see `perdure list --all`", id.str(), session.path()));
}

}  // namespace perdure::manager
