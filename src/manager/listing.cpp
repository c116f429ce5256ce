#include "base/clock.h"
#include "base/error.h"
#include "base/try.h"
#include "manager/link/state.h"
#include "manager/status/assess.h"
#include "manager/status/find.h"
#include "store/records.h"
#include "store/rows.h"
#include "store/runner_lock.h"
#include <perdure/listing.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <iterator>
#include <unordered_set>
#include <utility>

namespace perdure {
namespace {

constexpr std::uint32_t kExtra = 1U << 31U;

std::string copy_of(std::string_view text) {
  return std::string(text);
}

std::optional<std::string> copy_of(const std::optional<std::string_view>& text) {
  return text ? std::optional<std::string>(*text) : std::nullopt;
}

bool has_living_leftovers(const store::Session& session, const TaskId& id) {
  return store::has_leftovers(session, id).value_or(false);
}

TaskRow row_of(const Task& task) {
  TaskRow row{.id = task.id,
              .kind = task.kind,
              .status = task.status,
              .detached = task.detached,
              .description = task.description,
              .name = task.name,
              .owner = task.owner,
              .started_at = task.started_at,
              .ended_at = task.ended_at,
              .exit_code = task.process.exit_code,
              .signal = task.process.signal,
              .agent_type = task.agent.type,
              .agent_id = {},
              .executor_name = {},
              .executor_type = {},
              .executor_place = {},
              .executor_node = {},
              .queue_place = task.queue.place,
              .restarts = is_terminal(task.status) ? 0 : static_cast<int>(task.restart.count),
              .is_between_attempts = !is_terminal(task.status) && task.restart.count > 0 && task.process.pid <= 0,
              .runner_gone = task.found.runner_gone,
              .unverified = task.found.unverified,
              .paused = task.found.paused,
              .has_leftovers = task.found.has_leftovers,
              .unrecorded_end = task.found.unrecorded_end};
  if (task.agent.id) row.agent_id = task.agent.id->text;
  if (task.executor) {
    row.executor_name = task.executor->name;
    row.executor_type = task.executor->type;
    row.executor_place = task.executor->place;
    row.executor_node = task.executor->node;
  }
  return row;
}

// Ids were looked at when the row was made.
TaskRow row_of(const codec::Row& row, TaskId id) {
  return {.id = std::move(id),
          .kind = row.kind,
          .status = row.status,
          .detached = row.detached,
          .description = copy_of(row.description),
          .name = copy_of(row.name),
          .owner = copy_of(row.owner),
          .started_at = time_at(row.started_at),
          .ended_at = time_at(row.ended_at),
          .exit_code = row.exit_code,
          .signal = row.signal,
          .agent_type = copy_of(row.agent_type),
          .agent_id = copy_of(row.agent_id),
          .executor_name = copy_of(row.executor_name),
          .executor_type = copy_of(row.executor_type),
          .executor_place = copy_of(row.executor_place),
          .executor_node = copy_of(row.executor_node),
          .queue_place = {},
          .restarts = 0,
          .is_between_attempts = false,
          .runner_gone = false,
          .unverified = false,
          .paused = false,
          .has_leftovers = false,
          .unrecorded_end = {}};
}

bool has_labels(const codec::Row& row, const ListingFilter& filter) {
  return std::ranges::all_of(filter.labels, [&](const auto& wanted) {
    return !codec::visit_labels(row.labels, [&](std::string_view name, std::string_view value) {
      return name != wanted.first || (wanted.second && value != *wanted.second);
    });
  });
}

bool has_labels(const Task& task, const ListingFilter& filter) {
  return std::ranges::all_of(filter.labels, [&](const auto& wanted) {
    const auto found = task.labels.find(wanted.first);
    return found != task.labels.end() && (!wanted.second || found->second == *wanted.second);
  });
}

// All but the status: that is known after a look only.
bool is_asked_for(const Task& task, const ListingFilter& filter) {
  return (!filter.tasks.kind || task.kind == *filter.tasks.kind) &&
         (!filter.tasks.owner || task.owner == *filter.tasks.owner) && (!filter.name || task.name == *filter.name) &&
         (!filter.since || task.started_at >= *filter.since) && has_labels(task, filter);
}

bool is_asked_for(const store::Session& session, const codec::Row& row, const ListingFilter& filter) {
  const ListFilter& tasks = filter.tasks;
  if ((tasks.status && row.status != *tasks.status) || (tasks.kind && row.kind != *tasks.kind) ||
      (tasks.owner && row.owner != *tasks.owner) || (filter.name && row.name != *filter.name) ||
      (filter.since && row.started_at < ms_of(*filter.since)) || !has_labels(row, filter))
    return false;
  // L42, but for what such a task left behind (L57).
  return row.detached ||
         (tasks.leftovers && row.has_leftovers && has_living_leftovers(session, *TaskId::parse(row.id)));
}

}  // namespace

struct Listing::Parts {
  explicit Parts(const std::string& path) : session(path) {}

  store::Session session;
  bool shows_leftovers = false;
  store::RowSet rows;
  std::vector<Task> extras;           // what is not an ended task with a row
  std::vector<std::uint32_t> places;  // of rows, or with kExtra of extras
  std::vector<BadRecord> bad;
  std::size_t left_out = 0;

  [[nodiscard]] bool is_terminal_at(std::uint32_t place) const {
    return (place & kExtra) == 0 || is_terminal(extras[place & ~kExtra].status);
  }
};

Listing::Listing(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Listing::Listing(Listing&&) noexcept = default;
Listing& Listing::operator=(Listing&&) noexcept = default;
Listing::~Listing() = default;

std::size_t Listing::size() const {
  return parts_->places.size();
}

std::size_t Listing::left_out() const {
  return parts_->left_out;
}

const std::vector<BadRecord>& Listing::bad() const {
  return parts_->bad;
}

TaskRow Listing::row(std::size_t place) const {
  const std::uint32_t at = parts_->places.at(place);
  if ((at & kExtra) != 0) return row_of(parts_->extras[at & ~kExtra]);
  const codec::Row row = parts_->rows.at(at);
  TaskRow shown = row_of(row, *TaskId::parse(row.id));
  shown.has_leftovers = parts_->shows_leftovers && row.has_leftovers && has_living_leftovers(parts_->session, shown.id);
  return shown;
}

Result<std::optional<Task>> Listing::task(std::size_t place) const {
  const std::uint32_t at = parts_->places.at(place);
  if ((at & kExtra) != 0) return parts_->extras[at & ~kExtra];
  const auto& session = parts_->session;
  TRY(auto task, store::read_row(session, parts_->rows.at(at)));
  if (!task) return task;
  TRY(auto looked, manager::assess(session, std::move(*task)));
  looked.task.found.has_leftovers = parts_->shows_leftovers && is_terminal(looked.task.status) &&
                                    looked.task.process.leftovers.value_or(0) > 0 &&
                                    has_living_leftovers(session, looked.task.id);
  return std::optional<Task>(std::move(looked.task));
}

Result<Listing> Listing::of(const TaskManager& manager, const ListingFilter& asked) {
  TRY_VOID(manager.state_->check_open());
  const ListFilter& filter = asked.tasks;
  auto parts = std::make_unique<Parts>(manager.session());
  const auto& session = parts->session;
  parts->shows_leftovers = filter.leftovers;
  std::vector<Task> candidates;
  std::vector<TaskId> recordless;
  std::size_t matched = 0;
  if (filter.ended || filter.status) {
    const store::RowOptions options{
        .is_wanted = [&](const codec::Row& row) { return is_asked_for(session, row, asked); },
        .most = asked.limit.value_or(SIZE_MAX)};
    TRY(auto found, store::scan_rows(session, options));
    candidates = std::move(found.live);
    recordless = std::move(found.recordless);
    matched = found.matched;
    parts->rows = std::move(found.rows);
    if (filter.ended) parts->bad = std::move(found.bad);
  } else {
    TRY(auto found, store::scan_records(session, {.terminal = false, .leftovers = filter.leftovers}));
    candidates = std::move(found.tasks);
    recordless = std::move(found.recordless);
  }
  TRY(auto others, manager::tasks_without_record(session, recordless));
  std::unordered_set<std::string> recorded;  // tasks that were started between the two looks
  for (auto& task : candidates) {
    if (!others.empty()) recorded.insert(task.id.str());
    if (is_terminal(task.status)) {  // of which something may live on
      task.found.has_leftovers = has_living_leftovers(session, task.id);
      if (task.found.has_leftovers && is_asked_for(task, asked)) parts->extras.push_back(std::move(task));
      continue;
    }
    if (!is_asked_for(task, asked)) continue;
    auto looked = manager::assess(session, std::move(task));
    if (!looked && looked.error().os_error == ENOENT) continue;  // removed meanwhile
    if (!looked) return std::unexpected(looked.error());
    if (!filter.status && !filter.ended && is_terminal(looked->task.status)) continue;
    if (filter.status && looked->task.status != *filter.status) continue;
    parts->extras.push_back(std::move(looked->task));
  }
  for (auto& task : others)
    if (!recorded.contains(task.id.str()) && is_asked_for(task, asked) &&
        (!filter.status || task.status == *filter.status))
      parts->extras.push_back(std::move(task));
  // Those in the foreground by their start, the queue behind everything that runs, as it stands.
  const auto first_queued =
      std::ranges::stable_partition(parts->extras, [](const Task& task) { return task.status != Status::queued; });
  std::ranges::sort(parts->extras.begin(), first_queued.begin(), [](const Task& a, const Task& b) {
    return a.started_at != b.started_at ? a.started_at < b.started_at : a.id < b.id;
  });
  parts->rows.sort_by_start();
  std::ranges::sort(parts->bad, {}, &BadRecord::path);
  // Merged.
  parts->places.reserve(parts->rows.size() + parts->extras.size());
  std::uint32_t next = 0;
  for (std::uint32_t i = 0; i < parts->rows.size(); ++i) {
    const codec::Row row = parts->rows.at(i);
    while (next < parts->extras.size() && parts->extras[next].status != Status::queued &&
           std::pair(ms_of(parts->extras[next].started_at), std::string_view(parts->extras[next].id.str())) <
               std::pair(row.started_at, row.id))
      parts->places.push_back(kExtra | next++);
    parts->places.push_back(i);
  }
  while (next < parts->extras.size()) parts->places.push_back(kExtra | next++);
  if (asked.limit) {
    // Running tasks stay, whatever the limit; of the ended ones the newest.
    const auto ended = static_cast<std::size_t>(
        std::ranges::count_if(parts->places, [&](std::uint32_t place) { return parts->is_terminal_at(place); }));
    const std::size_t running = parts->places.size() - ended;
    const std::size_t room = *asked.limit > running ? *asked.limit - running : 0;
    std::size_t left = ended;
    std::erase_if(parts->places, [&](std::uint32_t place) { return parts->is_terminal_at(place) && left-- > room; });
    parts->left_out = ended - std::min(ended, room) + matched - parts->rows.size();
  }
  return Listing(std::move(parts));
}

}  // namespace perdure
