#include "base/clock.h"
#include "base/error.h"
#include "base/process.h"
#include "base/try.h"
#include "contract/control.h"
#include "manager/far/contact.h"
#include "manager/link/cancel_fd.h"
#include "manager/link/runner_client.h"
#include "manager/link/state.h"
#include "manager/status/assess.h"
#include "manager/status/find.h"
#include "manager/status/question.h"
#include "store/agent.h"
#include "store/output_log.h"

#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>

namespace perdure {
namespace manager {
namespace {

// From the runner's last line to the release of its lock; rarely more than one.
constexpr std::int64_t kOutputAfterHangUpMs = 20;
// If no event source is available: no inotify instance left, or a runner on another host.
constexpr std::int64_t kUntoldMs = 1'000;

// The event sources for growth of a task's log and for its end.
class OutputWait {
 public:
  explicit OutputWait(const store::Session& session) : session_(session) {}

  // Sets up missing sources. Call before reading, so that a change after the read wakes the next sleep.
  Result<> arm(const Task& task) {
    look_again_ = -1;
    if (task.detached) watch_files(task);
    if (is_own_record(session_, task)) return connect(task);
    if (!process_)
      if (const auto process = live_foreign_process(task))
        if (auto pidfd = open_pidfd(process->pid)) process_ = std::move(*pidfd);
    if (!process_ && task.process.pid > 0) look_again_ = kUntoldMs;
    return {};
  }

  // The files of a foreground task have no names to watch, but can be watched through a descriptor.
  void watch_unnamed(const store::LogFiles& log) {
    if (!files_) files_ = Fd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    const auto watch = [&](const Fd& file) {
      return files_ && file &&
             ::inotify_add_watch(files_.get(), fmt::format("/proc/self/fd/{}", file.get()).c_str(), IN_MODIFY) >= 0;
    };
    // Once the output limit was exceeded, the log goes to other files, of which inotify here reports nothing.
    if (!watch(log.head) || !log.segments.empty()) look_again_ = kUntoldMs;
  }

  // False: `until` passed, or `cancel_fd` is readable.
  Result<bool> sleep(std::optional<std::int64_t> until, int cancel_fd) {
    std::int64_t patience = look_again_;
    if (until) {
      const std::int64_t left = std::max<std::int64_t>(0, *until - steady_ms());
      patience = patience < 0 ? left : std::min(patience, left);
    }
    const int teller = runner_ ? runner_->fd() : process_.get();
    pollfd fds[] = {{.fd = cancel_fd, .events = POLLIN, .revents = 0},
                    {.fd = teller, .events = POLLIN, .revents = 0},
                    {.fd = files_.get(), .events = POLLIN, .revents = 0}};
    const int n = ::poll(fds, std::size(fds), static_cast<int>(std::min<std::int64_t>(patience, INT32_MAX)));
    if (n < 0 && errno != EINTR) return fail_errno("waiting in", session_.path());
    if (n > 0 && fds[0].revents != 0) return false;
    if (n > 0 && fds[1].revents != 0) {
      runner_.reset();
      process_.reset();
    }
    if (n > 0 && fds[2].revents != 0) drain();
    return !until || steady_ms() < *until;
  }

 private:
  Result<> connect(const Task& task) {
    if (runner_) return {};
    TRY(auto client, RunnerClient::connect(session_, task.id));
    if (client && client->send(contract::kWait)) {
      runner_ = std::move(client);
    } else if (is_own_question(task)) {
      // Its answer and its record are watched. A deadline without a runner causes no event.
      if (const auto deadline = deadline_of(task); deadline && look_again_ < 0)
        look_again_ = std::max<std::int64_t>(kOutputAfterHangUpMs, *deadline - now_ms());
    } else {
      look_again_ = task.found.runner_gone || task.found.unverified ? kUntoldMs : kOutputAfterHangUpMs;
    }
    return {};
  }

  void watch_files(const Task& task) {
    constexpr std::uint32_t kGrows = IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_ONLYDIR;
    constexpr std::uint32_t kRecords = IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE | IN_ONLYDIR;
    if (!files_) files_ = Fd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
    const std::string folder = store::output_folder(session_, task);
    const auto watch = [&](const std::string& path, std::uint32_t mask) {
      return files_ && ::inotify_add_watch(files_.get(), path.c_str(), mask) >= 0;
    };
    // The folder may be made at any time, so its parent is watched before the folder is looked for. Another program's
    // record is replaced in the parent when the task ends.
    bool told = true;
    if (!is_own_record(session_, task) || is_own_question(task) || !watch(folder, kGrows)) {
      told = watch(folder.substr(0, folder.rfind('/')), kRecords);
      if (!watch(folder, kGrows) && errno != ENOENT) told = false;
    }
    if (!told) look_again_ = kUntoldMs;
  }

  void drain() {
    alignas(inotify_event) char buffer[4096];
    while (::read(files_.get(), buffer, sizeof buffer) > 0) {
    }
  }

  const store::Session& session_;
  std::optional<RunnerClient> runner_;
  Fd process_;  // a process of another program's task
  Fd files_;
  std::int64_t look_again_ = -1;
};

// A foreground task's files have no names; a queued task has no files.
Result<std::int64_t> size_now(const store::Session& session, const Task& task, OutputWait& waiting) {
  if (!task.detached) {
    TRY(auto look, look_at_foreground(session, task.id));
    if (look) {
      waiting.watch_unnamed(look->log);
      TRY(auto log, store::OutputLog::of(look->log, look->task));
      return log.size();
    }
  }
  TRY(auto log, store::OutputLog::open(session, task));
  return log.size();
}

Result<std::int64_t> size_of_activity(const store::Session& session, const Task& task) {
  TRY(auto part, store::read_activity(session, task.id, 0, 0));
  return part.size;
}

struct Patience {
  std::optional<std::chrono::milliseconds> timeout;
  const Cancellation& cancel;
};

// Waits until `size_now` returns more than `offset`, or until the task has ended.
Result<> await_growth(const TaskManager& manager, const store::Session& session, const TaskId& id, std::int64_t offset,
                      const Patience& patience, const auto& size_now) {
  const auto until = patience.timeout ? std::optional(steady_ms() + patience.timeout->count()) : std::nullopt;
  CancelFd cancelled;
  TRY_VOID(cancelled.begin(patience.cancel));
  OutputWait waiting(session);
  auto task = manager.get(id);
  while (true) {
    if (!task) return std::unexpected(task.error());
    if (is_terminal(task->status)) return {};
    TRY_VOID(waiting.arm(*task));
    TRY(auto size, size_now(session, *task, waiting));
    if (size > offset) return {};
    // Everything is watched now: if the task still runs here, an event will report its end.
    task = manager.get(id);
    if (!task || is_terminal(task->status)) continue;
    TRY(auto more, waiting.sleep(until, cancelled.get()));
    if (!more) return {};
    task = manager.get(id);
  }
}

}  // namespace
}  // namespace manager

Result<void> TaskManager::await_output(const TaskId& id, std::int64_t offset,
                                       std::optional<std::chrono::milliseconds> timeout,
                                       const Cancellation& cancel) const {
  TRY_VOID(state_->check_open());
  if (state_->check_may_act()) state_->far->follow();
  return manager::await_growth(*this, state_->session, id, offset, {timeout, cancel}, manager::size_now);
}

Result<void> TaskManager::await_activity(const TaskId& id, std::int64_t offset,
                                         std::optional<std::chrono::milliseconds> timeout,
                                         const Cancellation& cancel) const {
  TRY_VOID(state_->check_open());
  return manager::await_growth(*this, state_->session, id, offset, {timeout, cancel},
                               [](const store::Session& session, const Task& task, manager::OutputWait&) {
                                 return manager::size_of_activity(session, task);
                               });
}

}  // namespace perdure
