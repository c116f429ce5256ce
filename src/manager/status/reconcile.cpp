#include "manager/status/reconcile.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/try.h"
#include "manager/link/limits.h"
#include "manager/status/assess.h"
#include "manager/status/orphans.h"
#include "manager/status/question.h"
#include "store/active.h"
#include "store/outbox.h"
#include "store/output_log.h"
#include "store/records.h"
#include "store/runner_lock.h"
#include "trust/signature.h"

#include <fmt/format.h>

namespace perdure {
namespace manager {
namespace {

ReconcileResult unchanged(const Task& recorded, Assessment found) {
  return {.task = std::move(found.task), .before = recorded.status, .explained = std::move(found.explained)};
}

// As the runner does it (runner/record/outbox.h): the entry is made before the record.
Result<> announce(const store::Session& session, const Task& task) {
  if (!task.detached || task.notification.suppressed.value_or(false)) return {};
  return store::add_to_outbox(session, task.id);
}

// A person declares the task lost, since nothing can be proven here.
void adopt_as_lost(Assessment& found) {
  found.task.found.unverified = false;
  found.task.status = Status::lost;
  found.task.lost_evidence = Evidence::adopted;
  found.task.ended_at = time_at(std::max(now_ms(), ms_of(found.task.started_at)));
  found.settles = true;
  found.explained = "a person said so: " + found.explained;
}

}  // namespace

Result<> commit_end(const store::Session& session, Task& task, store::RunnerLock& lock, Telemetry& telemetry) {
  task.output.bytes = store::output_size(session, task);
  task.ended_seq = session.next_seq();
  TRY_VOID(announce(session, task));
  TRY_VOID(store::write_record(task));
  // Before its folder goes, which the signature covers.
  const bool runs_on_end = trust::is_on_end_signed(session, task);
  store::end_in_active(session, task.id);
  lock.clean_up_and_release();
  telemetry.settled(task, runs_on_end);
  return {};
}

Result<ReconcileResult> settle_own(const store::Session& session, const Task& recorded, Telemetry& telemetry,
                                   bool assume_lost) {
  if (is_own_question(recorded)) return settle_question(session, recorded, telemetry);
  auto found = assess(session, recorded);
  if (!found) return std::unexpected(found.error());
  if (found->task.found.unverified && assume_lost) adopt_as_lost(*found);
  if (!found->settles) return unchanged(recorded, std::move(*found));

  TRY(auto lock, store::RunnerLock::take(session, recorded.id));
  if (!lock) return unchanged(recorded, std::move(*found));  // another process is settling it
  // The previous holder of the lock may have settled it.
  TRY(auto again, store::reread(recorded));
  if (is_terminal(again.status)) {
    lock->clean_up_and_release();
    return ReconcileResult{.task = std::move(again), .before = recorded.status, .explained = "it has ended"};
  }
  const bool ended_by_itself =
      found->task.recovered && found->task.status != Status::timed_out && found->task.status != Status::killed;
  // Processes left by a command that ended by itself may live on. Processes of a stopped task, of a task whose runner
  // was killed, and of a subagent may not (L30).
  std::vector<ProcessIdentity> survivors;
  // No process here is known to be the task's.
  const bool is_elsewhere = found->task.lost_evidence == Evidence::adopted;
  if ((!ended_by_itself || recorded.kind == Kind::agent) && !recorded.host.in_process.value_or(false) && !is_elsewhere)
    survivors = end_remains(session, again);
  if (found->task.found.runner_gone) {
    if (!survivors.empty()) return unchanged(recorded, std::move(*found));
    found = assess_without_runner(session, again);
    if (!found) return std::unexpected(found.error());
  }
  Task& task = found->task;
  task.process.survivors.clear();
  for (const auto& process : survivors) task.process.survivors.push_back(process.pid);
  TRY_VOID(commit_end(session, task, *lock, telemetry));
  remove_cgroup(task);
  return ReconcileResult{
      .task = std::move(task), .before = recorded.status, .changed = true, .explained = std::move(found->explained)};
}

Result<ReconcileResult> settle_foreign(const store::Session& session, const Task& recorded, bool assume_lost,
                                       Telemetry& telemetry) {
  TRY(auto found, assess(session, recorded));
  if (found.task.found.unverified && assume_lost && !found.is_own) adopt_as_lost(found);
  if (!found.settles) return unchanged(recorded, std::move(found));
  if (!store::can_be_written(recorded)) {
    found.explained += "; a record of the current shape can't have its id, so nothing is written";
    return unchanged(recorded, std::move(found));
  }
  // The lock lets one of two Perdure processes write and notify. The owner does not know this lock, but a record that
  // it wrote meanwhile is not overwritten.
  TRY(const auto lock, store::lock_record(recorded));
  auto again = store::find_record(session, recorded.id);  // a task of the oldest format has a new file by then
  if (!again) return std::unexpected(again.error());
  if (!*again) return fail_os(ENOENT, "settling", recorded.found.source);
  if (is_terminal((*again)->status))
    return ReconcileResult{
        .task = std::move(**again), .before = recorded.status, .explained = "it has ended meanwhile"};
  TRY_VOID(announce(session, found.task));
  TRY_VOID(store::write_record(found.task));
  store::wake_waiters(session, found.task.id);
  telemetry.settled(found.task, trust::is_on_end_signed(session, found.task));
  return ReconcileResult{.task = std::move(found.task),
                         .before = recorded.status,
                         .changed = true,
                         .explained = std::move(found.explained)};
}

}  // namespace manager
}  // namespace perdure
