#include "base/clock.h"
#include "base/process.h"
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
#include <iterator>
#include <map>
#include <optional>
#include <utility>
#include <vector>

namespace perdure {
namespace manager {
namespace {

// inotify reports the closing of a file before its lock is released, by at most this time (architecture, "Locks"):
// until then the lock is checked again.
constexpr std::int64_t kLockLingersMs = 1'000;
constexpr std::int64_t kLookAgainMs = 5;
constexpr std::int64_t kRarestLookMs = 60'000;

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

  // Watched first, then looked at: a runner that dies in between is noticed by one of the two.
  Result<> look_at_all(NewsWatch& watch) {
    TRY(const auto active, store::scan_records(session_, {.terminal = false, .own_only = true}));
    for (const auto& task : active.tasks) {
      if (is_own_record(session_, task)) watch.watch_runner(task.id);
      TRY_VOID(look_at(task));
    }
    return {};
  }

  [[nodiscard]] bool found_one() const { return found_one_; }

 private:
  const store::Session& session_;
  Telemetry& telemetry_;
  bool recovers_;
  bool found_one_ = false;
};

// Runners that may have died: until the lock is free or the task has ended, they are checked again.
class Suspects {
 public:
  // The lock file was closed: the runner is dead, or dying.
  void add(const std::vector<TaskId>& ids) {
    const std::int64_t now = steady_ms();
    for (const auto& id : ids) all_.insert_or_assign(id, Suspect{.since = now, .next_look = now});
  }

  // When the next one is to be checked (steady clock).
  [[nodiscard]] std::optional<std::int64_t> next_look() const {
    std::optional<std::int64_t> next;
    for (const auto& [id, suspect] : all_) next = std::min(next.value_or(suspect.next_look), suspect.next_look);
    return next;
  }

  Result<> look(const store::Session& session, KilledRunners& killed) {
    const std::int64_t now = steady_ms();
    for (auto at = all_.begin(); at != all_.end();) {
      if (at->second.next_look > now) {
        ++at;
        continue;
      }
      TRY(auto still, look_at(session, killed, at->first, at->second));
      at = still ? std::next(at) : all_.erase(at);
    }
    return {};
  }

 private:
  struct Suspect {
    std::int64_t since = 0;
    std::int64_t next_look = 0;  // steady clock
    std::int64_t pause = kLookAgainMs;
  };

  // False: there is nothing more to see.
  static Result<bool> look_at(const store::Session& session, KilledRunners& killed, const TaskId& id,
                              Suspect& suspect) {
    TRY(auto alive, store::is_runner_alive(session, id));
    const std::int64_t now = steady_ms();
    // On a busy machine a dying process keeps its lock for longer: it is checked ever more rarely, but never given up.
    const bool lingers = now - suspect.since < kLockLingersMs;
    if (!lingers) suspect.pause = std::min(suspect.pause * 2, kRarestLookMs);
    suspect.next_look = now + suspect.pause;
    if (alive && lingers) return true;
    TRY(auto task, store::find_record(session, id));
    if (!task || is_terminal(task->status)) return false;
    TRY_VOID(killed.look_at(*task));
    return alive;
  }

  std::map<TaskId, Suspect> all_;
};

// Their runners are watched since now. One that died before is noticed here, and one that is dying becomes a suspect: its
// lock may be closed already and not be released yet.
Result<> look_at_new(const store::Session& session, const std::vector<TaskId>& ids, KilledRunners& killed,
                     Suspects& suspects) {
  for (const auto& id : ids) {
    TRY(auto task, store::find_record(session, id));
    if (!task || is_terminal(task->status)) continue;
    TRY(auto alive, store::is_runner_alive(session, id));
    if (!alive) {
      TRY_VOID(killed.look_at(*task));
    } else if (task->host.runner && !is_running(*task->host.runner)) {
      suspects.add({id});
    }
  }
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
  bool reads_all = true;
  manager::Suspects suspects;
  std::int64_t claim_ends_until = 0;
  while (true) {
    reads_all = watch.arm() || reads_all;
    if (std::exchange(reads_all, false)) TRY_VOID(killed.look_at_all(watch));
    TRY_VOID(suspects.look(session, killed));
    TRY(auto pending, manager::find_pending(session, options.owner, manager::Whose::nobodys));
    if (!pending.tasks.empty() || killed.found_one()) return true;
    const std::int64_t now = steady_ms();
    if (until && now >= *until) return false;
    std::optional<std::int64_t> wake = until;
    const auto wake_by = [&](std::int64_t then) { wake = std::min(wake.value_or(then), then); };
    if (pending.claim_ends_at) wake_by(now + std::max<std::int64_t>(0, *pending.claim_ends_at - now_ms()) + 1);
    const bool claim_is_ending = pending.claim_ends_at && now < claim_ends_until;
    if (claim_is_ending) wake_by(now + manager::kLookAgainMs);
    if (const auto next = suspects.next_look()) wake_by(*next);
    const auto news = watch.sleep(wake, cancelled.get());
    if (news.cancelled) return false;
    reads_all = news.lost_track;
    TRY_VOID(manager::look_at_new(session, news.records_came, killed, suspects));
    suspects.add(news.runners_ended);
    if (news.claim_ended) claim_ends_until = steady_ms() + manager::kLockLingersMs;
  }
}

}  // namespace perdure
