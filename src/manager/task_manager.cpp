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
#include <utility>

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

// Places are sorted, not tasks, and each task is moved once.
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
  auto parts = store::scan_in_parts(state_->session, {.terminal = filter.ended || filter.status});
  if (!parts) return std::unexpected(parts.error());
  std::vector<std::pair<std::int64_t, Task*>> wanted;
  for (auto& part : *parts) {
    for (auto& task : part.tasks) {
      if (filter.kind && task.kind != *filter.kind) continue;
      if (filter.owner && task.owner != *filter.owner) continue;
      if (!is_terminal(task.status)) {
        auto looked = manager::assess(state_->session, std::move(task));
        if (!looked && looked.error().os_error == ENOENT) continue;  // removed meanwhile
        if (!looked) return std::unexpected(looked.error());
        task = std::move(looked->task);
        if (!filter.status && !filter.ended && is_terminal(task.status)) continue;
      }
      if (!filter.status || task.status == *filter.status) wanted.emplace_back(task.started_at, &task);
    }
  }
  return in_order_of_start(std::move(wanted));
}

Result<std::vector<BadRecord>> TaskManager::bad_records() const {
  auto found = store::scan_records(state_->session);
  if (!found) return std::unexpected(found.error());
  std::ranges::sort(found->bad, {}, &BadRecord::path);
  return std::move(found->bad);
}

}  // namespace perdure
