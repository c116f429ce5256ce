#include "base/clock.h"
#include "base/error.h"
#include "base/try.h"
#include "far/far_task.h"
#include "manager/far/act.h"
#include "manager/link/state.h"
#include "manager/status/assess.h"
#include "manager/status/find.h"
#include "manager/status/foreground.h"
#include "manager/status/reconcile.h"
#include "store/outbox.h"
#include "store/output_log.h"
#include "store/records.h"
#include "store/row_index.h"
#include "store/rows.h"
#include "store/runner_lock.h"
#include "store/stale_files.h"

#include <fmt/format.h>

#include <algorithm>

namespace perdure {
namespace manager {
namespace {

std::unexpected<Error> still_running(const TaskId& id, std::string_view why) {
  auto refused = fail(ErrorCode::usage, fmt::format("{} can't be removed: {}", id.str(), why));
  refused.error().details["running"] = id.str();
  return refused;
}

// Of a task whose record lies in the session's own folder.
std::int64_t size_of(const store::Session& session, const TaskId& id) {
  return store::disk_use(session.folder_path(id)) + store::disk_use(session.record_path(id));
}

// A task without an owner has no undelivered notification to keep it for.
bool is_undelivered(const store::Session& session, const codec::Row& row, const TaskId& id) {
  return row.owner && !row.is_notified && store::is_in_outbox(session, id);
}

// Removes an ended task. Holds its runner.lock meanwhile, so that no other Perdure process settles or removes it; other
// programs do not know this lock.
Result<> remove_ended(const store::Session& session, const Task& task) {
  if (!is_own_record(session, task)) return store::remove_task(session, task);
  TRY(auto leftovers, store::has_leftovers(session, task.id));
  if (leftovers) return still_running(task.id, "processes that it left behind are alive: see `perdure stop`");
  TRY(auto lock, store::RunnerLock::take(session, task.id));
  if (!lock) return still_running(task.id, "its runner is alive");
  auto removed = store::remove_task(session, task);
  lock->clean_up_and_release();
  return removed;
}

// The ended tasks that the options select for removal, oldest first, so that the oldest are gone if a full disk or the user
// interrupts.
std::vector<std::size_t> choose(const store::Session& session, const store::RowSet& rows,
                                const RetentionOptions& options) {
  struct Ended {
    std::int64_t at;
    std::size_t place;
  };
  std::vector<Ended> ended;
  ended.reserve(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) ended.push_back({rows.at(i).ended_at.value_or(0), i});
  std::ranges::sort(ended, [&](const Ended& a, const Ended& b) {
    return a.at != b.at ? a.at > b.at : rows.at(a.place).id > rows.at(b.place).id;
  });
  std::vector<std::size_t> chosen;
  const std::int64_t now = now_ms();
  std::int64_t kept = 0;
  std::int64_t bytes = 0;
  for (const auto& [at, place] : ended) {
    const codec::Row row = rows.at(place);
    const std::int64_t size = options.max_bytes ? size_of(session, *TaskId::parse(row.id)) : 0;
    const bool too_old = options.older_than && row.ended_at.value_or(now) < now - options.older_than->count();
    const bool too_many = options.keep && kept >= *options.keep;
    const bool too_big = options.max_bytes && bytes + size > *options.max_bytes;
    if (too_old || too_many || too_big) {
      chosen.push_back(place);
    } else {
      ++kept;
      bytes += size;
    }
  }
  std::ranges::reverse(chosen);
  return chosen;
}

Result<> sweep_litter(const store::Session& session, bool dry_run, GcResult& removed) {
  TRY(auto litter, store::find_litter(session));
  for (const auto& one : litter) {
    const auto swept = dry_run ? Result<bool>(true) : store::sweep(session, one);
    if (!swept) {
      removed.kept.push_back(swept.error().message);
    } else if (*swept) {
      ++removed.litter;
      removed.bytes += one.bytes;
    }
  }
  return {};
}

}  // namespace
}  // namespace manager

Result<void> Upkeep::remove(const TaskId& id) const {
  TRY_VOID(state_->check_may_act());
  const auto& session = state_->session;
  TRY(auto found, manager::find_task(session, *state_->held, id));
  if (!found) return manager::unknown_task(session, id);
  if (!found->has_record && is_terminal(found->task.status)) return {};  // it left nothing on disk
  Task task = std::move(found->task);
  if (found->has_record && !is_terminal(task.status) && manager::is_own_record(session, task)) {
    // It is lost, or ended unrecorded: it is settled first, so that its remaining processes are ended, too.
    TRY(auto verdict, manager::settle_own(session, task, *state_->telemetry));
    task = std::move(verdict.task);
  }
  if (!is_terminal(task.status))
    return manager::still_running(id, "it has not ended: see `perdure stop` and `perdure reconcile`");
  if (far::is_mirror(session, task))
    TRY_VOID(manager::remove_far({state_->session, *state_->telemetry, *state_->far}, id));
  return manager::remove_ended(session, task);
}

Result<GcResult> Upkeep::collect_garbage(const RetentionOptions& options) const {
  TRY_VOID(state_->check_may_act());
  const auto& session = state_->session;
  if (options.keep.value_or(0) < 0 || options.max_bytes.value_or(0) < 0 ||
      options.older_than.value_or(std::chrono::milliseconds(0)).count() < 0)
    return fail(ErrorCode::usage, "an age, a number or a size is negative");
  // Other programs remove their own tasks (L38).
  const store::RowOptions ours{.is_wanted = [](const codec::Row& row) {
    return row.source.empty() && row.shape != Shape::kimi_cli && (row.has_runner || row.is_mirror);
  }};
  TRY(const auto found, store::scan_rows(session, ours));
  GcResult removed;
  for (const std::size_t place : manager::choose(session, found.rows, options)) {
    const codec::Row row = found.rows.at(place);
    const TaskId id = *TaskId::parse(row.id);
    if (!options.undelivered && manager::is_undelivered(session, row, id)) {
      ++removed.undelivered;
      continue;
    }
    const std::int64_t bytes = manager::size_of(session, id);
    Result<> done;
    if (!options.dry_run) {
      // A row is no reason to remove anything: the record is.
      TRY(const auto task, store::read_row(session, row));
      const bool is_ours = task && (manager::is_own_record(session, *task) || far::is_mirror(session, *task));
      if (!is_ours || !is_terminal(task->status)) continue;
      if (far::is_mirror(session, *task))
        done = manager::remove_far({state_->session, *state_->telemetry, *state_->far}, id);
      if (done) done = manager::remove_ended(session, *task);
    } else if (store::has_leftovers(session, id).value_or(true)) {
      done = manager::still_running(id, "processes that it left behind are alive: see `perdure stop`");
    }
    if (done) {
      removed.tasks.push_back(id);
      removed.bytes += bytes;
    } else {
      removed.kept.push_back(done.error().message);
    }
  }
  TRY_VOID(manager::sweep_litter(session, options.dry_run, removed));
  if (!options.dry_run) store::refresh_row_index(session);
  return removed;
}

Result<bool> Upkeep::sweep_is_due() const {
  TRY_VOID(state_->check_may_act());
  return store::claim_daily_sweep(state_->session);
}

}  // namespace perdure
