#include "base/clock.h"
#include "base/try.h"
#include "far/far_task.h"
#include "manager/far/contact.h"
#include "manager/far/mirror.h"
#include "manager/link/state.h"
#include "manager/link/telemetry.h"
#include "manager/status/assess.h"
#include "manager/status/reconcile.h"
#include "store/active.h"
#include "store/records.h"
#include "store/row_index.h"

#include <algorithm>
#include <cerrno>

namespace perdure {
namespace manager {
namespace {

// The host was asked already: its answer counts, or the user's decision.
Result<ReconcileResult> settle_mirror(const FarSide& side, const Task& recorded, bool assume_lost) {
  TRY(auto found, assess(side.session, recorded));
  ReconcileResult verdict{
      .task = std::move(found.task), .before = recorded.status, .explained = std::move(found.explained)};
  if (!assume_lost || !verdict.task.found.unverified) return verdict;
  TRY(auto ended, end_without_record(side.session, side.telemetry, recorded.id,
                                     {.status = Status::lost, .evidence = Evidence::adopted, .reason = {}}));
  verdict.task = std::move(ended);
  verdict.changed = true;
  verdict.explained = "the user said so: " + verdict.explained;
  return verdict;
}

}  // namespace
}  // namespace manager

Result<std::vector<ReconcileResult>> Upkeep::reconcile(const ReconcileOptions& options) const {
  TRY_VOID(state_->act_and_revive());
  if (options.queue_only) return std::vector<ReconcileResult>();
  state_->far->refresh();
  TRY(auto found, store::scan_records(state_->session, {.terminal = false}));
  if (const auto own = store::scan_records(state_->session, {.terminal = false, .own_only = true}))
    store::tidy_active(state_->session, own->looked_at);
  std::ranges::sort(found.tasks, {}, &Task::started_at);
  std::vector<ReconcileResult> verdicts;
  for (const auto& task : found.tasks) {
    auto verdict =
        far::is_mirror(state_->session, task)
            ? manager::settle_mirror({state_->session, *state_->telemetry, *state_->far}, task, options.assume_lost)
        : manager::is_own_record(state_->session, task)
            ? manager::settle_own(state_->session, task, *state_->telemetry, options.assume_lost)
            : manager::settle_foreign(state_->session, task, options.assume_lost, *state_->telemetry);
    // A task that was removed meanwhile must not keep the others from being reconciled.
    if (!verdict && verdict.error().os_error == ENOENT) continue;
    if (!verdict) return std::unexpected(verdict.error());
    verdicts.push_back(std::move(*verdict));
  }
  store::refresh_row_index(state_->session);
  return verdicts;
}

Result<ExecutorReport> Upkeep::check_executor(const std::string& name) const {
  TRY_VOID(state_->check_open());
  return state_->far->check(name);
}

Result<void> Upkeep::refresh() const {
  TRY_VOID(state_->check_may_act());
  state_->far->refresh();
  return {};
}

}  // namespace perdure
