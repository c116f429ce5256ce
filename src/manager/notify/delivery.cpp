#include "manager/notify/delivery.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/try.h"
#include "manager/link/state.h"
#include "manager/notify/notification.h"
#include "manager/status/assess.h"
#include "manager/status/find.h"
#include "manager/status/reconcile.h"
#include "store/active.h"
#include "store/records.h"
#include "store/runner_lock.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <tuple>

namespace perdure {
namespace manager {
namespace {

constexpr std::int64_t kLockIsBusyMs = 5'000;  // settling, removing or acknowledging takes less

// A task of another program that Perdure has recorded as lost: Perdure notifies of that end, the program of all others.
bool was_made_lost(const store::Session& session, const Task& task) {
  return task.status == Status::lost && task.lost_evidence && !is_own_record(session, task);
}

// The terminal record of an entry; absent: there is none, or it can't be read, which `doctor` reports.
Result<std::optional<Task>> ended_task(const store::Session& session, const TaskId& id) {
  auto task = store::find_record(session, id);
  if (!task && task.error().code == ErrorCode::record_invalid) return std::nullopt;
  if (!task) return task;
  if (!*task || !is_terminal((*task)->status)) return std::nullopt;
  if ((*task)->found.source != session.record_path(id) && !was_made_lost(session, **task)) return std::nullopt;
  return task;
}

// Not notified: foreground tasks (L42), suppressed notifications (L45), and acknowledged ones.
bool is_nobodys_news(const Task& task) {
  return task.notification.notified_at || !task.detached || task.notification.suppressed.value_or(false);
}

void sort_by_end(std::vector<Task>& tasks) {
  std::ranges::sort(tasks, {}, [](const Task& task) {
    return std::tuple(task.ended_seq.value_or(0), ms_of(task.ended_at).value_or(0), task.id);
  });
}

// Claims one pending notification; absent: another process was quicker.
Result<std::optional<store::OutboxClaim>> claim_one(const store::Session& session, const TaskId& id,
                                                    const ClaimOptions& options) {
  auto claim = store::OutboxClaim::take(session, id, options.lease);
  if (!claim || !*claim) return claim;
  // The previous claimer may have acknowledged it meanwhile.
  TRY(auto task, ended_task(session, id));
  if (!task || is_nobodys_news(*task)) return std::nullopt;
  return claim;
}

Result<store::RunnerLock> lock_ended(const store::Session& session, const TaskId& id) {
  TRY(auto lock, store::RunnerLock::take_within(session, id, kLockIsBusyMs));
  if (lock) return std::move(*lock);
  return fail(ErrorCode::session_unusable,
              fmt::format("{} can't be acknowledged: another process holds its lock", id.str()));
}

Result<> note_in_record(const store::Session& session, const Task& seen, std::string_view via) {
  std::optional<store::RunnerLock> own;
  Fd others;
  if (was_made_lost(session, seen)) {
    TRY(auto lock, store::lock_record(seen));
    others = std::move(lock);
  } else {
    TRY(auto lock, lock_ended(session, seen.id));
    own = std::move(lock);
  }
  Result<> done;
  auto task = store::reread(seen);
  if (!task) {
    done = std::unexpected(task.error());
  } else if (!task->notification.notified_at) {
    task->notification.notified_at = time_at(now_ms());
    task->notification.channel = std::string(via);
    done = store::write_record(*task);
  }
  if (own) own->release();
  return done;
}

Result<> acknowledge_one(const store::Session& session, const TaskId& id, std::optional<Status> status,
                         std::string_view via) {
  TRY(auto task, store::find_record(session, id));
  if (!task) return unknown_task(session, id);
  if (status && task->status != *status)
    return fail(ErrorCode::task_not_found, fmt::format("no such notification: {} is {}, not {}", id.str(),
                                                       name_of(task->status), name_of(*status)));
  if (!is_terminal(task->status))
    return fail(ErrorCode::usage, fmt::format("{} has not ended: there is nothing to acknowledge yet", id.str()));
  // Perdure does not notify of another program's tasks, and does not write their records (L38).
  const bool is_ours = is_own_record(session, *task) || store::is_in_outbox(session, id);
  if (!is_ours || is_nobodys_news(*task)) return store::remove_from_outbox(session, id);
  TRY_VOID(note_in_record(session, *task, via));
  return store::remove_from_outbox(session, id);
}

}  // namespace

void Claims::keep(const TaskId& id, store::OutboxClaim claim) {
  const std::scoped_lock lock(mutex_);
  held_.insert_or_assign(id.str(), std::move(claim));
}

void Claims::drop(const TaskId& id) {
  const std::scoped_lock lock(mutex_);
  held_.erase(id.str());
}

Result<Pending> find_pending(const store::Session& session, const std::optional<std::string>& owner, Whose whose) {
  TRY(auto ids, store::outbox_entries(session));
  Pending pending;
  for (const auto& id : ids) {
    TRY(auto task, ended_task(session, id));
    if (task && is_nobodys_news(*task)) pending.stale.push_back(id);
    if (!task || is_nobodys_news(*task) || (owner && task->owner != *owner)) continue;
    if (whose == Whose::nobodys) {
      TRY(auto until, store::claimed_until(session, id));
      if (until) {
        pending.claim_ends_at = std::min(pending.claim_ends_at.value_or(*until), *until);
        continue;
      }
    }
    pending.tasks.push_back(std::move(*task));
  }
  sort_by_end(pending.tasks);
  return pending;
}

Result<> settle_lost(const store::Session& session, Telemetry& telemetry) {
  TRY(auto found, store::scan_records(session, {.terminal = false, .own_only = true}));
  store::tidy_active(session, found.looked_at);
  for (const auto& task : found.tasks) {
    if (!is_own_record(session, task)) continue;
    auto verdict = settle_own(session, task, telemetry);
    if (!verdict && verdict.error().os_error != ENOENT) return std::unexpected(verdict.error());
  }
  return {};
}

}  // namespace manager

Result<std::vector<Notification>> Notifications::pending(const std::optional<std::string>& owner) const {
  TRY_VOID(state_->check_open());
  TRY(auto pending, manager::find_pending(state_->session, owner, manager::Whose::anybodys));
  return manager::describe_ends(state_->session, pending.tasks);
}

Result<std::vector<Notification>> Notifications::claim(const ClaimOptions& options) const {
  TRY_VOID(state_->act_and_revive());
  const auto& session = state_->session;
  if (options.lease && options.lease->count() <= 0)
    return fail(ErrorCode::usage, "the lease is not positive: leave it out to claim for as long as this process lives");
  TRY_VOID(manager::settle_lost(session, *state_->telemetry));
  TRY(auto pending, manager::find_pending(session, options.owner, manager::Whose::nobodys));
  for (const auto& id : pending.stale) TRY_VOID(store::remove_from_outbox(session, id));
  std::vector<Task> claimed;
  for (auto& task : pending.tasks) {
    if (claimed.size() >= options.most) break;
    auto claim = manager::claim_one(session, task.id, options);
    if (!claim && claimed.empty()) return std::unexpected(claim.error());
    if (!claim) break;  // notifications claimed so far are delivered; the next call returns the error
    if (!*claim) continue;
    if (!options.lease) state_->claims->keep(task.id, std::move(**claim));
    claimed.push_back(std::move(task));
  }
  return manager::describe_ends(session, claimed);
}

void Notifications::release(const std::vector<Notification>& notifications) const {
  for (const auto& notification : notifications)
    for (const auto& id : notification.tasks) state_->claims->drop(id);
}

Result<void> Notifications::acknowledge(const std::vector<std::string>& ids, std::string_view via) const {
  TRY_VOID(state_->check_may_act());
  Result<> outcome;
  const auto note = [&](const Result<>& done) {
    if (!done && outcome) outcome = done;
  };
  for (const auto& text : ids) {
    auto meant = manager::tasks_meant_by(text);
    if (!meant) {
      note(std::unexpected(meant.error()));
      continue;
    }
    for (const auto& id : meant->tasks) {
      auto done = manager::acknowledge_one(state_->session, id, meant->status, via);
      if (done) state_->claims->drop(id);
      note(done);
    }
  }
  return outcome;
}

}  // namespace perdure
