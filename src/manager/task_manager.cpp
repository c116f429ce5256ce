#include "base/clock.h"
#include "base/error.h"
#include "base/try.h"
#include "config/config_keys.h"
#include "manager/far/contact.h"
#include "manager/in_process/in_process_service.h"
#include "manager/link/state.h"
#include "manager/link/telemetry.h"
#include "manager/notify/delivery.h"
#include "manager/notify/hooks.h"
#include "manager/status/assess.h"
#include "manager/status/find.h"
#include "manager/status/foreground.h"
#include "manager/status/queue.h"
#include "manager/status/wait_cycle.h"
#include "manager/watch/events.h"
#include "store/active.h"
#include "store/ownership.h"
#include "store/records.h"
#include "store/runner_lock.h"
#include "trust/signature.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <unordered_set>
#include <utility>

namespace perdure {
namespace {

// Sorts indices, not tasks, so that each task is moved once.
std::vector<Task> in_order_of_start(std::vector<std::pair<std::int64_t, Task*>> places) {
  std::ranges::sort(places, [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first < b.first : a.second->id < b.second->id;
  });
  std::vector<Task> ordered;
  ordered.reserve(places.size());
  for (const auto& [started_at, task] : places) ordered.push_back(std::move(*task));
  return ordered;
}

}  // namespace

SessionState::SessionState(ManagerOptions given, store::Session opened)
    : options(std::move(given)),
      session(std::move(opened)),
      events(std::make_unique<manager::EventWatch>(session)),
      claims(std::make_unique<manager::Claims>()),
      telemetry(std::make_shared<manager::Telemetry>(options.telemetry_file, options.telemetry)),
      in_process(std::make_unique<manager::InProcessService>()),
      held(std::make_unique<manager::HeldTasks>()),
      far(std::make_unique<manager::FarContact>(session, options.executors, options.runner, *telemetry)) {
  telemetry->on_settled(
      [this](const Task& task, bool runs_on_end) { manager::tell_end(session, options, task, runs_on_end); });
}
SessionState::~SessionState() = default;

Result<> SessionState::check_may_act() const {
  if (auto open = check_open(); !open) return open;
  if (is_own) return {};
  TRY(const bool exists, store::check_owner(session));
  is_own = exists;  // one that is made later is looked at again
  return {};
}

Result<> SessionState::act_and_revive() const {
  if (auto fine = check_may_act(); !fine) return fine;
  // A failure to restart queued runners must not keep other work from being done; doctor reports it. Without the index
  // everything is read, which is only slower.
  static_cast<void>(store::complete_active(session));
  if (!has_revived.exchange(true)) static_cast<void>(manager::revive_queue(session, options.runner, *telemetry));
  return {};
}

Result<std::vector<UntrustedEntry>> Upkeep::untrusted() const {
  TRY_VOID(state_->check_open());
  std::vector<UntrustedEntry> found;
  auto entries = manager::untrusted_entries(state_->session);
  if (!entries) return std::unexpected(entries.error());
  for (const auto& entry : *entries) found.push_back({.id = entry.task.id, .runs = entry.runs});
  auto records = store::scan_records(state_->session, {.terminal = false});
  if (!records) return std::unexpected(records.error());
  for (const auto& task : records->tasks) {
    const auto bytes = trust::on_end_bytes(task.notification.on_end);
    if (task.notification.on_end.empty() ||
        trust::is_signed(state_->session, task.id, trust::Purpose::on_end, bytes, task.notification.signature))
      continue;
    if (store::is_runner_alive(state_->session, task.id).value_or(true)) continue;
    for (const auto& command : task.notification.on_end) found.push_back({.id = task.id, .runs = command});
  }
  return found;
}

Result<> Upkeep::trust(const TaskId& id) const {
  if (auto fine = state_->check_may_act(); !fine) return fine;
  return manager::trust_entry(state_->session, id);
}

Result<> Upkeep::restart_queue() const {
  if (auto fine = state_->check_may_act(); !fine) return fine;
  return manager::revive_queue(state_->session, state_->options.runner, *state_->telemetry);
}

std::optional<TaskId> TaskManager::own_task() const {
  return manager::task_inside(state_->session);
}

std::vector<TaskId> TaskManager::own_line() const {
  std::vector<TaskId> line;
  auto next = own_task();
  while (next && std::ranges::find(line, *next) == line.end()) {
    line.push_back(*next);
    const auto task = get(*next);
    next.reset();
    if (!task || !task->owner) break;
    if (auto owner = TaskId::parse(*task->owner)) next = std::move(*owner);
  }
  return line;
}

Result<> SessionState::check_open() const {
  if (!closed) return {};
  return fail(ErrorCode::session_closed, "this session object was closed: open the session anew");
}

TaskManager::TaskManager(std::unique_ptr<SessionState> state) : state_(std::move(state)) {}
TaskManager::TaskManager(TaskManager&&) noexcept = default;
TaskManager& TaskManager::operator=(TaskManager&&) noexcept = default;
TaskManager::~TaskManager() = default;

Result<TaskManager> TaskManager::open(ManagerOptions options) {
  if (options.session.empty()) return fail(ErrorCode::usage, "no session folder was given");
  if (options.max_running_tasks && *options.max_running_tasks < 1)
    return fail(ErrorCode::config_invalid, "max_running_tasks is below 1: give 1 or more, or leave it out");
  if (!options.telemetry_file.empty() && options.telemetry_file.front() != '/')
    return fail(ErrorCode::config_invalid,
                fmt::format("the telemetry file '{}' is not an absolute path: runners have other folders",
                            options.telemetry_file));
  TRY(auto cap, manager::cap_from_environment(options.max_running_tasks));
  options.max_running_tasks = cap;
  TRY_VOID(manager::check_hooks(options.hooks));
  store::Session session(options.session);
  auto state = std::make_unique<SessionState>(std::move(options), std::move(session));
  return TaskManager(std::move(state));
}

const std::string& TaskManager::session() const {
  return state_->session.path();
}

Result<Task> SessionState::get(const TaskId& id) const {
  TRY_VOID(check_open());
  auto known = manager::find_task(session, *held, id);
  if (!known) return std::unexpected(known.error());
  if (!*known) return manager::unknown_task(session, id);
  if (!(*known)->has_record) return std::move((*known)->task);
  TRY(auto found, manager::assess(session, std::move((*known)->task)));
  return std::move(found.task);
}

Result<Task> TaskManager::get(const TaskId& id) const {
  return state_->get(id);
}

Notifications TaskManager::notifications() const {
  return Notifications(*state_);
}

Questions TaskManager::questions() const {
  return Questions(*state_);
}

Events TaskManager::events() const {
  return Events(*state_);
}

Upkeep TaskManager::upkeep() const {
  return Upkeep(*state_);
}

Result<std::vector<Task>> TaskManager::list(const ListFilter& filter) const {
  TRY_VOID(state_->check_open());
  // A task that is running by its record may turn out to have ended, so the filter comes after the assessment.
  auto parts =
      store::scan_in_parts(state_->session, {.terminal = filter.ended || filter.status, .leftovers = filter.leftovers});
  if (!parts) return std::unexpected(parts.error());
  std::vector<TaskId> recordless;
  for (auto& part : *parts) std::ranges::move(part.recordless, std::back_inserter(recordless));
  auto others = manager::tasks_without_record(state_->session, recordless);
  if (!others) return others;
  const auto is_asked_for = [&](const Task& task) {
    return (!filter.kind || task.kind == *filter.kind) && (!filter.owner || task.owner == *filter.owner) &&
           (!filter.status || task.status == *filter.status);
  };
  std::vector<std::pair<std::int64_t, Task*>> wanted;
  std::unordered_set<std::string> recorded;  // tasks that were started between the two scans
  for (auto& part : *parts) {
    for (auto& task : part.tasks) {
      if (!others->empty() && !is_terminal(task.status)) recorded.insert(task.id.str());
      task.found.has_leftovers = filter.leftovers && is_terminal(task.status) &&
                                 task.process.leftovers.value_or(0) > 0 &&
                                 store::has_leftovers(state_->session, task.id).value_or(false);
      if (!task.found.has_leftovers && is_terminal(task.status)) {
        if (!task.detached) continue;  // L42
        if (!filter.ended && !filter.status) continue;
      }
      if (filter.kind && task.kind != *filter.kind) continue;
      if (filter.owner && task.owner != *filter.owner) continue;
      if (!is_terminal(task.status)) {
        auto looked = manager::assess(state_->session, std::move(task));
        if (!looked && looked.error().os_error == ENOENT) continue;  // removed meanwhile
        if (!looked) return std::unexpected(looked.error());
        task = std::move(looked->task);
        if (!filter.status && !filter.ended && is_terminal(task.status)) continue;
      }
      if (!filter.status || task.status == *filter.status) wanted.emplace_back(ms_of(task.started_at), &task);
    }
  }
  auto ordered = in_order_of_start(std::move(wanted));
  // Foreground tasks by their start; queued ones after all that run.
  std::ranges::stable_partition(*others, [](const Task& task) { return task.status != Status::queued; });
  for (auto& task : *others) {
    if (recorded.contains(task.id.str()) || !is_asked_for(task)) continue;
    const auto place = task.status == Status::queued
                           ? ordered.end()
                           : std::ranges::upper_bound(ordered, task.started_at, {}, &Task::started_at);
    ordered.insert(place, std::move(task));
  }
  return ordered;
}

Result<std::vector<BadRecord>> Upkeep::bad_records() const {
  TRY_VOID(state_->check_open());
  TRY(auto found, store::scan_records(state_->session));
  std::ranges::sort(found.bad, {}, &BadRecord::path);
  return std::move(found.bad);
}

}  // namespace perdure
