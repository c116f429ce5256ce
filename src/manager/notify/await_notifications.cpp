#include "base/clock.h"
#include "base/try.h"
#include "manager/far/contact.h"
#include "manager/link/cancel_fd.h"
#include "manager/link/state.h"
#include "manager/notify/delivery.h"
#include "manager/status/assess.h"
#include "manager/status/reconcile.h"
#include "manager/watch/news_watch.h"
#include "store/records.h"
#include "store/runner_lock.h"

#include <algorithm>
#include <cerrno>
#include <map>

namespace perdure {
namespace manager {
namespace {

// inotify reports the closing of a file before its lock is released, by at most this time (architecture, "Locks"):
// until then the lock is checked again.
constexpr std::int64_t kLockLingersMs = 1'000;
constexpr std::int64_t kLookAgainMs = 5;

// Whether to settle a task whose runner may have been killed.
class KilledRunners {
 public:
  KilledRunners(const store::Session& session, Telemetry& telemetry, bool recovers)
      : session_(session), telemetry_(telemetry), recovers_(recovers) {}

  Result<> look_at(const Task& task) {
    if (is_terminal(task.status) || !is_own_record(session_, task)) return {};
    if (recovers_) {
      auto verdict = settle_own(session_, task, telemetry_);
      if (!verdict && verdict.error().os_error != ENOENT) return std::unexpected(verdict.error());
      return {};
    }
    TRY(auto found, assess(session_, task));
    found_one_ = found_one_ || found.settles || found.task.found.runner_gone;
    return {};
  }

  Result<> look_at_all() {
    auto active = store::scan_records(session_, {.terminal = false, .own_only = true});
    if (!active) return std::unexpected(active.error());
    for (const auto& task : active->tasks)
      if (auto looked = look_at(task); !looked) return looked;
    return {};
  }

  [[nodiscard]] bool found_one() const { return found_one_; }

 private:
  const store::Session& session_;
  Telemetry& telemetry_;
  bool recovers_;
  bool found_one_ = false;
};

// Runners whose lock file was closed, so that they are dead or dying, and until when each is checked again.
class Suspects {
 public:
  void add(const std::vector<TaskId>& ids) {
    for (const auto& id : ids) until_.insert_or_assign(id, steady_ms() + kLockLingersMs);
  }
  [[nodiscard]] bool empty() const { return until_.empty(); }

  Result<> look(const store::Session& session, KilledRunners& killed) {
    for (auto at = until_.begin(); at != until_.end();) {
      auto alive = store::is_runner_alive(session, at->first);
      if (!alive) return std::unexpected(alive.error());
      if (*alive && steady_ms() < at->second) {
        ++at;
        continue;
      }
      auto task = *alive ? Result<std::optional<Task>>() : store::find_record(session, at->first);
      if (!task) return std::unexpected(task.error());
      if (*task)
        if (auto looked = killed.look_at(**task); !looked) return looked;
      at = until_.erase(at);
    }
    return {};
  }

 private:
  std::map<TaskId, std::int64_t> until_;
};

Result<> watch_runners(const store::Session& session, NewsWatch& watch) {
  auto active = store::scan_records(session, {.terminal = false, .own_only = true});
  if (!active) return std::unexpected(active.error());
  for (const auto& task : active->tasks)
    if (is_own_record(session, task)) watch.watch_runner(task.id);
  return {};
}

}  // namespace
}  // namespace manager

Result<bool> Notifications::await(const AwaitOptions& options) const {
  TRY_VOID(state_->check_open());
  if (state_->check_may_act()) state_->far->follow();
  const auto& session = state_->session;
  manager::KilledRunners killed(session, *state_->telemetry, options.recovers);
  const auto until = options.timeout ? std::optional(steady_ms() + options.timeout->count()) : std::nullopt;
  manager::CancelFd cancelled;
  TRY_VOID(cancelled.begin(options.cancel));
  manager::NewsWatch watch(session);
  watch.arm();
  // Watched first, then settled: a runner that dies in between is noticed by one of the two.
  TRY_VOID(manager::watch_runners(session, watch));
  TRY_VOID(killed.look_at_all());
  manager::Suspects suspects;
  std::int64_t claim_ends_until = 0;
  while (true) {
    watch.arm();
    TRY_VOID(suspects.look(session, killed));
    TRY(auto pending, manager::find_pending(session, options.owner, manager::Whose::nobodys));
    if (!pending.tasks.empty() || killed.found_one()) return true;
    const std::int64_t now = steady_ms();
    if (until && now >= *until) return false;
    std::optional<std::int64_t> wake = until;
    const auto wake_by = [&](std::int64_t then) { wake = std::min(wake.value_or(then), then); };
    if (pending.claim_ends_at) wake_by(now + std::max<std::int64_t>(0, *pending.claim_ends_at - now_ms()) + 1);
    const bool claim_is_ending = pending.claim_ends_at && now < claim_ends_until;
    if (claim_is_ending || !suspects.empty()) wake_by(now + manager::kLookAgainMs);
    const auto news = watch.sleep(wake, cancelled.get());
    if (news.cancelled) return false;
    if (news.lost_track) TRY_VOID(killed.look_at_all());
    suspects.add(news.runners_ended);
    if (news.claim_ended) claim_ends_until = steady_ms() + manager::kLockLingersMs;
  }
}

}  // namespace perdure
