#include "manager/watch/event_log.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/try.h"
#include "manager/link/state.h"
#include "store/rows.h"
#include <perdure/event_log.h>

#include <algorithm>
#include <tuple>
#include <utility>
#include <vector>

namespace perdure {
namespace {

// A seq is microseconds of the clock where nothing forbade it, so a time fits between seqs.
std::int64_t place_among_events(std::int64_t seq, std::int64_t time_ms) {
  return seq > 0 ? seq : time_ms * 1000;
}

}  // namespace

struct EventLog::Parts {
  explicit Parts(const std::string& path) : session(path) {}

  struct Entry {
    std::int64_t place = 0;
    std::uint32_t task = 0;  // of rows, and behind them of live
    EventType type = EventType::started;
  };
  void add(std::uint32_t task, std::int64_t seq, std::int64_t time_ms, EventType type) {
    entries.push_back({.place = place_among_events(seq, time_ms), .task = task, .type = type});
  }

  store::Session session;
  store::RowSet rows;
  std::vector<Task> live;
  std::vector<Entry> entries;
};

EventLog::EventLog(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
EventLog::EventLog(EventLog&&) noexcept = default;
EventLog& EventLog::operator=(EventLog&&) noexcept = default;
EventLog::~EventLog() = default;

Result<EventLog> EventLog::of(const TaskManager& manager, std::int64_t seq) {
  TRY_VOID(manager.state_->check_open());
  auto parts = std::make_unique<Parts>(manager.session());
  const store::RowOptions options{.is_wanted = [seq](const codec::Row& row) {
    return row.detached && (row.started_seq > seq || row.ended_seq > seq);  // L42
  }};
  TRY(auto found, store::scan_rows(parts->session, options));
  parts->rows = std::move(found.rows);
  for (auto& task : found.live)
    if (task.detached && task.started_seq.value_or(0) > seq) parts->live.push_back(std::move(task));
  const auto rows = static_cast<std::uint32_t>(parts->rows.size());
  for (std::uint32_t i = 0; i < rows; ++i) {
    const codec::Row row = parts->rows.at(i);
    if (row.started_seq > seq) parts->add(i, row.started_seq, row.started_at, EventType::started);
    if (row.ended_seq > seq) parts->add(i, row.ended_seq, row.ended_at.value_or(row.started_at), EventType::terminated);
  }
  for (std::uint32_t i = 0; i < parts->live.size(); ++i)
    parts->add(rows + i, parts->live[i].started_seq.value_or(0), ms_of(parts->live[i].started_at), EventType::started);
  std::ranges::sort(parts->entries, {},
                    [](const Parts::Entry& entry) { return std::tuple(entry.place, entry.type, entry.task); });
  return EventLog(std::move(parts));
}

std::size_t EventLog::size() const {
  return parts_->entries.size();
}

Result<std::optional<Event>> EventLog::event(std::size_t place) const {
  const auto& entry = parts_->entries.at(place);
  const auto rows = static_cast<std::uint32_t>(parts_->rows.size());
  if (entry.task >= rows) return manager::started_event(parts_->live[entry.task - rows]);
  TRY(const auto task, store::read_row(parts_->session, parts_->rows.at(entry.task)));
  if (!task) return std::nullopt;
  return entry.type == EventType::started ? manager::started_event(*task)
                                          : manager::terminated_event(parts_->session, *task);
}

}  // namespace perdure
