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

std::int64_t size_of(const store::Session& session, const Task& task) {
  const std::string folder = store::output_folder(session, task);
  const std::int64_t inside = store::disk_use(folder);
  return task.found.shape == Shape::kimi_cli ? inside : inside + store::disk_use(task.found.source);
}

// A task without an owner has no undelivered notification to keep it for.
bool is_undelivered(const store::Session& session, const Task& task) {
  return task.owner && !task.notification.notified_at && store::is_in_outbox(session, task.id);
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

// The ended tasks, newest first, that the options select for removal.
std::vector<Task> choose(const store::Session& session, std::vector<Task> ended, const RetentionOptions& options) {
  std::vector<Task> chosen;
  const std::int64_t now = now_ms();
  std::int64_t kept = 0;
  std::int64_t bytes = 0;
  for (auto& task : ended) {
    const std::int64_t size = options.max_bytes ? size_of(session, task) : 0;
    const bool too_old = options.older_than && ms_of(task.ended_at).value_or(now) < now - options.older_than->count();
    const bool too_many = options.keep && kept >= *options.keep;
    const bool too_big = options.max_bytes && bytes + size > *options.max_bytes;
    if (too_old || too_many || too_big) {
      chosen.push_back(std::move(task));
    } else {
      ++kept;
      bytes += size;
    }
  }
  std::ranges::reverse(chosen);  // oldest first, so that the oldest are gone if a full disk or the user interrupts
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
  TRY(auto found, store::scan_records(session));
  // Other programs remove their own tasks (L38).
  std::erase_if(found.tasks, [&](const Task& task) {
    return !is_terminal(task.status) || (!manager::is_own_record(session, task) && !far::is_mirror(session, task));
  });
  std::ranges::sort(found.tasks, std::ranges::greater(),
                    [](const Task& task) { return std::tuple(ms_of(task.ended_at).value_or(0), task.id); });
  GcResult removed;
  for (const auto& task : manager::choose(session, std::move(found.tasks), options)) {
    if (!options.undelivered && manager::is_undelivered(session, task)) {
      ++removed.undelivered;
      continue;
    }
    const std::int64_t bytes = manager::size_of(session, task);
    Result<> done;
    if (!options.dry_run) {
      if (far::is_mirror(session, task))
        done = manager::remove_far({state_->session, *state_->telemetry, *state_->far}, task.id);
      if (done) done = manager::remove_ended(session, task);
    } else if (store::has_leftovers(session, task.id).value_or(true)) {
      done = manager::still_running(task.id, "processes that it left behind are alive: see `perdure stop`");
    }
    if (done) {
      removed.tasks.push_back(task.id);
      removed.bytes += bytes;
    } else {
      removed.kept.push_back(done.error().message);
    }
  }
  TRY_VOID(manager::sweep_litter(session, options.dry_run, removed));
  return removed;
}

Result<bool> Upkeep::sweep_is_due() const {
  TRY_VOID(state_->check_may_act());
  return store::claim_daily_sweep(state_->session);
}

}  // namespace perdure
