#include "base/error.h"
#include "manager/assess.h"
#include "manager/events.h"
#include "manager/state.h"
#include "manager/waiting.h"
#include "store/records.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <numeric>
#include <tuple>

namespace perdure {
namespace {

constexpr const char* kCapVariable = "PERDURE_MAX_RUNNING_TASKS";

// The environment beats what the caller configured, and nonsense in it is reported, not ignored (L04).
Result<std::optional<int>> cap_from_environment(std::optional<int> configured) {
  const char* const text = std::getenv(kCapVariable);  // NOLINT(concurrency-mt-unsafe): never changed here
  if (text == nullptr || *text == '\0') return configured;
  const std::string_view given(text);
  int cap = 0;
  const auto [end, error] = std::from_chars(given.data(), given.data() + given.size(), cap);
  if (error != std::errc() || end != given.data() + given.size() || cap < 1)
    return fail(ErrorCode::config_invalid,
                fmt::format("{}='{}' is not a number of tasks: give 1 or more, or unset it", kCapVariable, given));
  return cap;
}

// Places are sorted, not tasks: a task is a kilobyte to move.
std::vector<Task> in_order_of_start(std::vector<Task> tasks) {
  std::vector<std::size_t> places(tasks.size());
  std::iota(places.begin(), places.end(), std::size_t{0});
  const auto before = [&](std::size_t a, std::size_t b) {
    return std::tie(tasks[a].started_at, tasks[a].id) < std::tie(tasks[b].started_at, tasks[b].id);
  };
  if (std::ranges::is_sorted(places, before)) return tasks;
  std::ranges::sort(places, before);
  std::vector<Task> ordered;
  ordered.reserve(tasks.size());
  for (const std::size_t place : places) ordered.push_back(std::move(tasks[place]));
  return ordered;
}

}  // namespace

TaskManager::State::State(ManagerOptions given, store::Session opened)
    : options(std::move(given)), session(std::move(opened)), events(std::make_unique<manager::EventWatch>(session)) {}
TaskManager::State::~State() = default;

TaskManager::TaskManager(std::unique_ptr<State> state) : state_(std::move(state)) {}
TaskManager::TaskManager(TaskManager&&) noexcept = default;
TaskManager& TaskManager::operator=(TaskManager&&) noexcept = default;
TaskManager::~TaskManager() = default;

Result<TaskManager> TaskManager::open(ManagerOptions options) {
  if (options.session.empty()) return fail(ErrorCode::usage, "no session folder was given");
  if (options.max_running_tasks && *options.max_running_tasks < 1)
    return fail(ErrorCode::config_invalid, "max_running_tasks is below 1: give 1 or more, or leave it out");
  auto cap = cap_from_environment(options.max_running_tasks);
  if (!cap) return std::unexpected(cap.error());
  options.max_running_tasks = *cap;
  store::Session session(options.session);
  return TaskManager(std::make_unique<State>(std::move(options), std::move(session)));
}

const std::string& TaskManager::session() const {
  return state_->session.path();
}

Result<Task> TaskManager::get(const TaskId& id) const {
  auto task = store::find_record(state_->session, id);
  if (!task) return std::unexpected(task.error());
  if (!*task) return manager::unknown_task(state_->session, id);
  auto found = manager::assess(state_->session, std::move(**task));
  if (!found) return std::unexpected(found.error());
  return std::move(found->task);
}

Result<std::vector<Task>> TaskManager::list(const ListFilter& filter) const {
  // A running record may turn out to have ended, so the filter comes after the look.
  auto found = store::scan_records(state_->session, {.terminal = filter.ended || filter.status});
  if (!found) return std::unexpected(found.error());
  std::vector<Task> tasks;
  tasks.reserve(found->tasks.size());
  for (auto& recorded : found->tasks) {
    if (filter.kind && recorded.kind != *filter.kind) continue;
    if (filter.owner && recorded.owner != *filter.owner) continue;
    if (is_terminal(recorded.status)) {
      if (filter.status && recorded.status != *filter.status) continue;
      tasks.push_back(std::move(recorded));
      continue;
    }
    auto looked = manager::assess(state_->session, std::move(recorded));
    if (!looked && looked.error().os_error == ENOENT) continue;  // removed meanwhile
    if (!looked) return std::unexpected(looked.error());
    const Status status = looked->task.status;
    if (filter.status ? status != *filter.status : !filter.ended && is_terminal(status)) continue;
    tasks.push_back(std::move(looked->task));
  }
  return in_order_of_start(std::move(tasks));
}

Result<std::vector<BadRecord>> TaskManager::bad_records() const {
  auto found = store::scan_records(state_->session);
  if (!found) return std::unexpected(found.error());
  std::ranges::sort(found->bad, {}, &BadRecord::path);
  return std::move(found->bad);
}

}  // namespace perdure
