#include "base/clock.h"
#include "base/error.h"
#include "base/process.h"
#include "base/try.h"
#include "contract/control.h"
#include "far/far_task.h"
#include "manager/far/contact.h"
#include "manager/link/cancel_fd.h"
#include "manager/link/runner_client.h"
#include "manager/link/state.h"
#include "manager/status/assess.h"
#include "manager/status/find.h"
#include "manager/status/foreground.h"
#include "manager/status/question.h"
#include "manager/status/queue.h"
#include "manager/status/reconcile.h"
#include "manager/status/wait_cycle.h"
#include "manager/status/waiting.h"
#include "store/records.h"
#include "store/runner_lock.h"

#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <unordered_set>

namespace perdure {
namespace manager {
namespace {

// A lock is released a moment after its holder's end (architecture, "Locks").
constexpr std::int64_t kAfterHangUpMs = 1'000;
constexpr std::int64_t kOwnerMayWriteMs = 10'000;
constexpr std::int64_t kProgressEveryMs = 1'000;

// The event sources of one task. Exactly one of the two descriptors is open, or the time of another check is set.
struct Watched {
  Task task;
  std::optional<RunnerClient> runner;
  Fd process;
  std::int64_t look_again_at = -1;  // steady clock
  bool has_record = true;           // false: it is queued or in the foreground

  [[nodiscard]] int fd() const { return runner ? runner->fd() : process.get(); }
};

class Waiting {
 public:
  Waiting(const store::Session& session, HeldTasks& held, Telemetry& telemetry,
          const std::function<bool(const Task&)>& is_out_of_reach, const std::function<void(const Task&)>& unrecorded)
      : session_(session),
        held_(held),
        telemetry_(telemetry),
        is_out_of_reach_(is_out_of_reach),
        unrecorded_(unrecorded) {}

  Result<> add(Task task, bool has_record = true) {
    if (!known_.insert(task.id.str()).second) return {};
    Watched watched{.task = std::move(task), .has_record = has_record};
    TRY(auto ended, look(watched));
    if (ended) {
      note_end(std::move(watched.task));
    } else {
      watched_.push_back(std::move(watched));
    }
    return {};
  }

  // Sleeps until an event or `until`, then checks the tasks concerned. False: no event came in time, or `cancel_fd` is
  // readable.
  Result<bool> once(std::optional<std::int64_t> until, int cancel_fd) {
    std::vector<pollfd> fds;
    fds.reserve(watched_.size() + 2);
    for (const auto& watched : watched_) fds.push_back({.fd = watched.fd(), .events = POLLIN});
    fds.push_back({.fd = cancel_fd, .events = POLLIN});
    fds.push_back({.fd = folders_.get(), .events = POLLIN});
    std::optional<std::int64_t> wake = until;
    for (const auto& watched : watched_)
      if (watched.look_again_at >= 0) wake = std::min(wake.value_or(watched.look_again_at), watched.look_again_at);
    const std::int64_t sleep = wake ? std::clamp<std::int64_t>(*wake - steady_ms(), 0, INT32_MAX) : -1;
    const int n = ::poll(fds.data(), fds.size(), static_cast<int>(sleep));
    if (n < 0 && errno != EINTR) return fail_errno("waiting in", session_.path());
    cancelled = n > 0 && fds[watched_.size()].revents != 0;
    if (cancelled) return false;
    const bool folder_changed = n > 0 && fds[watched_.size() + 1].revents != 0;
    if (folder_changed) drain_folder_events();

    std::vector<Watched> still;
    for (std::size_t i = 0; i < watched_.size(); ++i) {
      Watched& watched = watched_[i];
      const bool due = watched.look_again_at >= 0 && watched.look_again_at <= steady_ms();
      if ((n <= 0 || fds[i].revents == 0) && !due && !(folder_changed && !watched.runner)) {
        still.push_back(std::move(watched));
        continue;
      }
      TRY(auto ended, look(watched));
      if (ended) {
        note_end(std::move(watched.task));
      } else {
        still.push_back(std::move(watched));
      }
    }
    watched_ = std::move(still);
    return !until || steady_ms() < *until;
  }

  [[nodiscard]] bool none_left() const { return watched_.empty(); }
  void collect_running() {
    for (auto& watched : watched_) result.running.push_back(std::move(watched.task));
  }

  [[nodiscard]] std::size_t left() const { return watched_.size(); }

  WaitResult result;
  bool cancelled = false;

 private:
  void note_end(Task task) { (is_terminal(task.status) ? result.ended : result.unverified).push_back(std::move(task)); }

  // Has it ended, or will no event here ever report its end? If not, an event source for the next check is set up.
  Result<bool> look(Watched& watched) {
    watched.look_again_at = -1;
    if (!watched.has_record) {
      auto done = look_at_recordless(watched);
      if (!done || *done || !watched.has_record) return done;
    }
    watched.runner.reset();
    watched.process.reset();
    if (far::is_mirror(session_, watched.task)) return look_at_mirror(watched);
    return is_own_record(session_, watched.task) ? look_at_own(watched) : look_at_foreign(watched);
  }

  // True when it has ended. If it has a record by now, it is checked like all others.
  Result<bool> look_at_recordless(Watched& watched) {
    if (is_terminal(watched.task.status)) return true;
    if (watched.runner) {
      auto message = watched.runner->receive_message();
      watched.runner.reset();
      if (message && !message->files.empty()) {
        TRY(auto look, read_look(session_, watched.task.id, std::move(*message)));
        watched.task = std::move(look.task);
        return true;
      }
    }
    // Connected first, then read, as for a task with a record.
    TRY(auto client, RunnerClient::connect(session_, watched.task.id));
    const bool listens = client && client->send(wait_request(session_));
    TRY(auto found, find_task(session_, held_, watched.task.id));
    if (!found) return unknown_task(session_, watched.task.id);
    watched.task = std::move(found->task);
    watched.has_record = found->has_record;
    if (watched.has_record) return false;
    if (listens) {
      watched.runner = std::move(client);
    } else {
      watched.look_again_at = steady_ms() + kAfterHangUpMs;  // a queued task whose runner was killed
    }
    if (watched.task.executor && is_out_of_reach_ && is_out_of_reach_(watched.task)) {
      watched.task.found.unverified = true;
      return true;
    }
    return is_terminal(watched.task.status);
  }

  Result<bool> look_at_own(Watched& watched) {
    if (is_terminal(watched.task.status)) return true;
    const std::int64_t until = steady_ms() + kAfterHangUpMs;
    while (true) {
      // Connected first, then read: an end in between is a hang-up. The record decides, not the connection: a runner
      // that watches leftovers also listens, and its task has ended.
      TRY(auto client, RunnerClient::connect(session_, watched.task.id));
      const bool listens = client && client->send(wait_request(session_));
      const bool is_open_question = !listens && is_own_question(watched.task);
      if (is_open_question) watch_question(watched.task);
      TRY(auto again, store::reread(watched.task));
      if (is_terminal(again.status)) {
        watched.task = std::move(again);
        return true;
      }
      if (listens) {
        watched.runner = std::move(client);
        return note_refusal(watched);
      }
      TRY(auto verdict, settle_own(session_, again, telemetry_));
      watched.task = std::move(verdict.task);
      if (is_terminal(watched.task.status)) return true;
      if (is_open_question) {
        TRY(auto held, store::is_runner_alive(session_, watched.task.id));
        watched.look_again_at = look_again_at_question(watched.task, held);
        return false;
      }
      if (watched.task.found.unverified) return true;
      if (steady_ms() >= until) {
        watched.look_again_at = steady_ms() + kAfterHangUpMs;
        return false;
      }
      const timespec a_moment{0, 1'000'000};
      ::nanosleep(&a_moment, nullptr);
    }
  }

  // It has ended and the disk refuses the record: the wait continues, and this is reported once (D29).
  Result<bool> note_refusal(Watched& watched) {
    if (store::refusal_of(session_, watched.task.id) == 0) return false;
    TRY(auto found, assess(session_, watched.task));
    watched.task = std::move(found.task);
    if (is_terminal(watched.task.status)) return true;
    if (watched.task.found.unrecorded_end && unrecorded_ && refused_.insert(watched.task.id.str()).second)
      unrecorded_(watched.task);
    return false;
  }

  // The manager that follows the executor writes the record: watched before it is read.
  Result<bool> look_at_mirror(Watched& watched) {
    watch_folder_of(watched.task);
    TRY(auto again, store::reread(watched.task));
    TRY(auto found, assess(session_, std::move(again)));
    watched.task = std::move(found.task);
    if (is_terminal(watched.task.status)) return true;
    if (!folders_) watched.look_again_at = steady_ms() + kAfterHangUpMs;
    if (!is_out_of_reach_ || !is_out_of_reach_(watched.task)) return false;
    watched.task.found.unverified = true;  // the record will say so, too
    return true;
  }

  Result<bool> look_at_foreign(Watched& watched) {
    watch_folder_of(watched.task);
    TRY(auto again, store::reread(watched.task));
    TRY(auto found, assess(session_, std::move(again)));
    watched.task = std::move(found.task);
    if (is_terminal(watched.task.status)) return true;
    if (const auto process = live_foreign_process(watched.task)) {
      if (auto pidfd = open_pidfd(process->pid)) watched.process = std::move(*pidfd);
    } else if (watched.task.process.pid > 0) {
      // Its owner has this long to write the end; afterwards it counts as gone.
      watched.look_again_at =
          steady_ms() + kOwnerMayWriteMs - std::max<std::int64_t>(0, now_ms() - store::written_at(watched.task)) + 1;
      watched.look_again_at = std::max(watched.look_again_at, steady_ms() + 10);
    }
    return false;
  }

  // A question without a runner: the answering process makes a lock, an answer and a record, in this order.
  void watch_question(const Task& task) {
    watch_folder_of(task);
    if (folders_)
      ::inotify_add_watch(folders_.get(), session_.folder_path(task.id).c_str(), IN_CREATE | IN_MOVED_TO | IN_ONLYDIR);
  }

  [[nodiscard]] std::int64_t look_again_at_question(const Task& task, bool somebody_is_at_it) const {
    // The process that settles it may be killed, which only its lock shows.
    if (somebody_is_at_it || !folders_) return steady_ms() + kAfterHangUpMs;
    const auto deadline = deadline_of(task);
    return deadline ? steady_ms() + std::max<std::int64_t>(1, *deadline - now_ms()) : -1;
  }

  // Other programs have no runner that reports the end: their records are watched. The inotify instance is made only if
  // needed, since a user may have 128 of them.
  void watch_folder_of(const Task& task) {
    if (!folders_) folders_ = Fd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    const std::string folder = task.found.source.substr(0, task.found.source.rfind('/'));
    if (folders_) ::inotify_add_watch(folders_.get(), folder.c_str(), IN_MOVED_TO | IN_CLOSE_WRITE | IN_DELETE);
  }

  void drain_folder_events() {
    alignas(inotify_event) char buffer[4096];
    while (::read(folders_.get(), buffer, sizeof buffer) > 0) {
    }
  }

  const store::Session& session_;
  HeldTasks& held_;
  Telemetry& telemetry_;
  const std::function<bool(const Task&)>& is_out_of_reach_;
  const std::function<void(const Task&)>& unrecorded_;
  std::vector<Watched> watched_;
  std::unordered_set<std::string> known_, refused_;
  Fd folders_;
};

const Task* decisive(const WaitResult& result, WaitMode mode) {
  if (mode == WaitMode::all) return nullptr;
  for (const auto& task : result.ended)
    if (mode == WaitMode::any || task.status != Status::completed) return &task;
  return nullptr;
}

}  // namespace

Result<WaitResult> wait_for(const store::Session& session, HeldTasks& held, Telemetry& telemetry,
                            const WaitOptions& options, const std::function<bool(const Task&)>& is_out_of_reach) {
  const auto until = options.timeout ? std::optional(steady_ms() + options.timeout->count()) : std::nullopt;
  Waiting waiting(session, held, telemetry, is_out_of_reach, options.unrecorded);
  const auto self = task_inside(session);

  const auto add_active = [&]() -> Result<> {
    TRY(auto found, store::scan_records(session, {.terminal = false}));
    std::ranges::sort(found.tasks, {}, &Task::started_at);
    for (auto& task : found.tasks) {
      if (task.id == self || (options.owner && task.owner != options.owner)) continue;
      if (auto added = waiting.add(std::move(task)); !added && added.error().os_error != ENOENT) return added;
    }
    TRY(auto queued, queued_tasks(session));
    for (const auto& id : far::entries(session).value_or(std::vector<TaskId>()))
      if (auto sent = far::unplaced(session, id)) queued.push_back(std::move(*sent));
    for (auto& task : queued) {
      if (options.owner && task.owner != options.owner) continue;
      auto added = waiting.add(std::move(task), false);
      if (!added && added.error().code != ErrorCode::task_not_found) return added;
    }
    return {};
  };
  for (const auto& id : options.ids) {
    if (id == self)
      return fail(ErrorCode::task_wait_cycle,
                  fmt::format("{} would wait for itself: wait for it from outside", id.str()));
    TRY(auto task, find_task(session, held, id));
    if (!task || (options.owner && task->task.owner != options.owner)) return unknown_task(session, id);
    const bool has_record = task->has_record;
    TRY_VOID(waiting.add(std::move(task->task), has_record));
  }
  if (options.ids.empty()) TRY_VOID(add_active());
  if (self) TRY_VOID(check_cycle(session, *self, options.ids));

  CancelFd cancelled;
  TRY_VOID(cancelled.begin(options.cancel));
  std::int64_t progress_at = steady_ms() + kProgressEveryMs;
  while (true) {
    if (const Task* task = decisive(waiting.result, options.mode)) {
      waiting.result.decisive = *task;
      break;
    }
    if (waiting.none_left() && options.drain) TRY_VOID(add_active());
    if (waiting.none_left()) break;
    std::optional<std::int64_t> wake = until;
    if (options.progress) wake = std::min(until.value_or(INT64_MAX), progress_at);
    TRY(auto more, waiting.once(wake, cancelled.get()));
    if (options.progress && steady_ms() >= progress_at) {
      progress_at = steady_ms() + kProgressEveryMs;
      options.progress(waiting.left());
    }
    if (!more && !waiting.cancelled && (!until || steady_ms() < *until)) continue;  // woken for the progress only
    if (!more && !waiting.none_left() && decisive(waiting.result, options.mode) == nullptr) {
      waiting.result.timed_out = true;
      break;
    }
  }
  waiting.collect_running();
  for (const auto& task : waiting.result.ended) telemetry.found_ended(task);
  return std::move(waiting.result);
}

}  // namespace manager

Result<WaitResult> TaskManager::wait(const WaitOptions& options) {
  const bool wants_all = options.ids.empty() || options.drain || state_->has_revived;
  TRY_VOID(wants_all ? state_->act_and_revive() : state_->check_may_act());
  if (!wants_all)
    static_cast<void>(manager::revive_next(state_->session, state_->options.runner, *state_->telemetry, options.ids));
  const std::int64_t began = steady_ms();
  state_->far->follow();
  auto result = manager::wait_for(state_->session, *state_->held, *state_->telemetry, options,
                                  [&](const Task& task) { return state_->far->is_out_of_reach(task); });
  if (!result || options.part_of_longer_wait) return result;
  const std::size_t ended = result->ended.size();
  const bool had_none = options.ids.empty() && ended == 0 && result->running.empty();
  state_->telemetry->waited({.outcome = result->timed_out ? "timed_out"
                                        : had_none        ? "no_tasks"
                                                          : "completed",
                             .timeout = options.timeout,
                             .waited_ms = steady_ms() - began,
                             .has_task_id = !options.ids.empty(),
                             .extra_completed = ended > 1 ? static_cast<std::int64_t>(ended) - 1 : 0});
  return result;
}

}  // namespace perdure
