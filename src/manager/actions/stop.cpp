#include "base/clock.h"
#include "base/error.h"
#include "base/process.h"
#include "base/try.h"
#include "contract/control.h"
#include "contract/names.h"
#include "far/far_task.h"
#include "manager/far/act.h"
#include "manager/link/runner_client.h"
#include "manager/link/runner_process.h"
#include "manager/link/state.h"
#include "manager/status/assess.h"
#include "manager/status/find.h"
#include "manager/status/foreground.h"
#include "manager/status/question.h"
#include "manager/status/queue.h"
#include "manager/status/reconcile.h"
#include "manager/status/waiting.h"
#include "store/records.h"
#include "store/runner_lock.h"

#include <poll.h>
#include <signal.h>

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <unordered_set>

namespace perdure {
namespace manager {
namespace {

constexpr std::int64_t kLockLingersMs = 1'000;
constexpr std::int64_t kKillPatienceMs = 5'000;
constexpr const char* kNoReason = "Stopped on request";

// In addition to the grace, for SIGKILL to take effect and for the commit.
constexpr std::int64_t kEndMarginMs = 15'000;

// One stop request to a runner. It goes through the socket or, if the runner does not answer there, by a signal.
class StopRequest {
 public:
  StopRequest(const store::Session& session, const Task& task, std::string request, StopWish wish)
      : session_(session), task_(task), request_(std::move(request)), wish_(std::move(wish)) {}

  /// Asks the runner and waits until it exits or reports the commit. False: there was no runner.
  Result<bool> ask_and_wait() {
    const std::int64_t until = steady_ms() + kLockLingersMs;
    while (true) {
      auto client = RunnerClient::connect(session_, task_.id);
      if (!client && client.error().os_error == EAGAIN) return signal_and_wait();
      if (!client) return std::unexpected(client.error());
      if (*client && (*client)->send(request_)) return wait_for_answer(**client);
      // No process listens: the runner has exited, is just starting, or has just been killed.
      TRY(auto alive, store::is_runner_alive(session_, task_.id));
      if (!alive) return find_runner_process(session_, task_) ? signal_and_wait() : Result<bool>(false);
      if (steady_ms() >= until) return signal_and_wait();
      const timespec a_moment{0, 1'000'000};
      ::nanosleep(&a_moment, nullptr);
    }
  }

 private:
  Result<bool> wait_for_answer(RunnerClient& client) {
    auto answer = client.receive(kSilenceMs);
    if (client.is_silent()) {
      // A stopped runner has the request in its socket and answers once it continues.
      auto runner = find_runner_process(session_, task_);
      if (!runner) return unresponsive(task_.id);
      // It gets no processor time, as among thousands of processes that the task forks: the request waits in its
      // backlog, and a signal needs no connection.
      if (!runner->is_stopped) return signal_and_wait();
      TRY_VOID(signal_pidfd(runner->pidfd.get(), SIGCONT));
      answer = client.receive();
      if (client.is_silent()) return unresponsive(task_.id);
    }
    if (answer && *answer != contract::kOk && *answer != contract::kNo)
      return fail(ErrorCode::usage,
                  fmt::format("the runner of {} refused '{}': {}", task_.id.str(), request_, *answer));
    // end-leftovers is answered with their end; no other request may be sent, since the task itself has ended.
    const bool is_told = request_.starts_with(contract::kEndLeftovers);
    if (answer && *answer == contract::kOk && (is_told || client.send(contract::kWait)))
      static_cast<void>(client.receive(-1));
    return true;
  }

  // SIGTERM to the runner means a stop; the details of the request are in a file (L53).
  Result<bool> signal_and_wait() {
    auto runner = find_runner_process(session_, task_);
    if (!runner) return unresponsive(task_.id);
    // Without the task's folder there is no place for that file: the signal alone has to do.
    static_cast<void>(leave_stop_wish(session_, task_.id, wish_));
    for (const int number : {SIGTERM, SIGCONT})
      if (auto sent = signal_pidfd(runner->pidfd.get(), number); !sent) return sent.error().os_error == ESRCH;
    pollfd ended{.fd = runner->pidfd.get(), .events = POLLIN, .revents = 0};
    const std::int64_t grace = wish_.grace_ms >= 0 ? wish_.grace_ms : contract::kDefaultGraceMs;
    if (::poll(&ended, 1, static_cast<int>(std::min<std::int64_t>(INT32_MAX, grace + kEndMarginMs))) <= 0)
      return unresponsive(task_.id);
    return true;
  }

  static constexpr int kSilenceMs = 1'000;

  const store::Session& session_;
  const Task& task_;
  std::string request_;
  StopWish wish_;
};

// A process and its descendants, held by pidfds, so that no pid can be reused.
struct ForeignTree {
  std::vector<Fd> processes;

  explicit ForeignTree(const ProcessIdentity& root) {
    std::vector<pid_t> queue{static_cast<pid_t>(root.pid)};
    std::unordered_set<pid_t> seen;
    for (std::size_t i = 0; i < queue.size(); ++i) {
      if (!seen.insert(queue[i]).second || program_of(queue[i]).ends_with("/perdure-runner")) continue;
      auto pidfd = open_pidfd(queue[i]);
      if (!pidfd || (i == 0 && !is_alive(root))) continue;
      std::ranges::copy(children_of(queue[i]), std::back_inserter(queue));
      processes.push_back(std::move(*pidfd));
    }
  }

  void signal(int number) {
    for (const auto& process : processes)
      if (!signal_pidfd(process.get(), number)) continue;  // it has exited
  }

  // True when all have exited in time.
  [[nodiscard]] bool await_end(std::int64_t patience_ms) const {
    const std::int64_t until = steady_ms() + patience_ms;
    return std::ranges::all_of(processes, [&](const Fd& process) {
      pollfd ended{.fd = process.get(), .events = POLLIN};
      return ::poll(&ended, 1, static_cast<int>(std::max<std::int64_t>(0, until - steady_ms()))) > 0;
    });
  }
};

Result<Task> stop_foreign(const store::Session& session, const Task& recorded, const StopOptions& options,
                          std::chrono::milliseconds grace, Telemetry& telemetry) {
  const auto process = live_foreign_process(recorded);
  if (!process) {
    TRY(auto verdict, settle_foreign(session, recorded, false, telemetry));
    if (is_terminal(verdict.task.status)) return std::move(verdict.task);
    return fail(ErrorCode::task_not_running,
                fmt::format("{} can't be stopped from here: {}: see `perdure reconcile --adopt`", recorded.id.str(),
                            verdict.explained));
  }
  ForeignTree tree(*process);
  tree.signal(SIGTERM);
  tree.signal(SIGCONT);
  if (!tree.await_end(grace.count())) {
    ForeignTree rest(*process);  // processes forked meanwhile
    rest.signal(SIGKILL);
    tree.signal(SIGKILL);
    static_cast<void>(tree.await_end(kKillPatienceMs));
  }
  TRY(const auto lock, store::lock_record(recorded));
  auto again = store::reread(recorded);
  if (!again) return std::unexpected(again.error());
  if (is_terminal(again->status)) return again;  // its owner was quicker
  again->status = Status::killed;
  again->ended_at = time_at(std::max(now_ms(), ms_of(again->started_at)));
  again->stop_reason = options.reason;
  if (!store::can_be_written(*again)) return again;  // the task was stopped, only not recorded
  TRY_VOID(store::write_record(*again));
  TRY(auto written, store::find_record(session, recorded.id));
  return written ? std::move(*written) : std::move(*again);
}

// A queued task has a record only after its end. A foreground task reports its end with the descriptors that it sends.
Result<Task> stop_without_record(const store::Session& session, HeldTasks& held, Telemetry& telemetry, Task task,
                                 const std::string& request, const StopOptions& options) {
  if (is_terminal(task.status)) return task;
  const TaskId id = task.id;
  const std::int64_t until = steady_ms() + kLockLingersMs;
  while (true) {
    TRY(auto client, RunnerClient::connect(session, id));
    // Connected before it is asked to stop: afterwards the runner may have exited.
    if (client && client->send(contract::kWait) && client->send(request)) {
      const auto answer = client->receive();
      if (client->is_silent()) return unresponsive(id);
      if (answer && *answer != contract::kOk)
        return fail(ErrorCode::usage, fmt::format("the runner of {} refused '{}': {}", id.str(), request, *answer));
      if (answer) {
        auto message = client->receive_message(-1);
        if (message && !message->files.empty()) {
          TRY(auto look, read_look(session, id, std::move(*message)));
          return std::move(look.task);
        }
      }
    } else if (auto ended = end_queued(session, id, options, telemetry); !ended) {
      return std::unexpected(ended.error());
    }
    TRY(auto found, find_task(session, held, id));
    if (!found) return unknown_task(session, id);
    if (is_terminal(found->task.status)) return std::move(found->task);
    if (steady_ms() >= until)
      return fail(ErrorCode::session_unusable, fmt::format("the runner of {} does not answer", id.str()));
    const timespec a_moment{0, 1'000'000};
    ::nanosleep(&a_moment, nullptr);
  }
}

}  // namespace

bool is_quiet(const StopOptions& options, const Task& task) {
  return options.suppress_notification || (options.by && task.owner == options.by);
}

}  // namespace manager

Result<Task> TaskManager::stop(const TaskId& id, const StopOptions& given) {
  TRY_VOID(state_->check_may_act());
  const auto& session = state_->session;
  StopOptions options = given;
  TRY(auto reason, manager::escaped_reason(options.reason));
  if (reason.empty()) {
    options.reason = manager::kNoReason;
    reason = manager::kNoReason;
  }
  TRY(auto found, manager::find_task(session, *state_->held, id));
  if (!found) return manager::unknown_task(session, id);
  if (found->task.executor && (found->has_record ? far::is_mirror(session, found->task) : true))
    return manager::stop_far({state_->session, *state_->telemetry, *state_->far}, found->task, options);
  const std::int64_t grace = options.grace ? options.grace->count() : -1;
  const char* const word = manager::is_quiet(options, found->task) ? contract::kStopQuietly : contract::kStop;
  const auto request = fmt::format("{} {} {}", word, grace, reason);
  if (!found->has_record)
    return manager::stop_without_record(session, *state_->held, *state_->telemetry, std::move(found->task), request,
                                        options);
  const Task* const task = &found->task;

  if (is_terminal(task->status)) {
    auto left = store::has_leftovers(session, id);
    if (left && *left) {
      const auto end =
          fmt::format("{} {}", contract::kEndLeftovers, options.grace.value_or(state_->options.kill_grace).count());
      manager::StopRequest stop(session, *task, end, {});
      TRY_VOID(stop.ask_and_wait());
    }
    return std::move(found->task);
  }
  if (!manager::is_own_record(session, *task))
    return manager::stop_foreign(session, *task, options, options.grace.value_or(state_->options.kill_grace),
                                 *state_->telemetry);

  if (task->kind == Kind::question) {
    const manager::Closing withdrawal{.outcome = QuestionOutcome::withdrawn,
                                      .output = {},
                                      .reason = options.reason,
                                      .escaped_reason = reason,
                                      .quiet = manager::is_quiet(options, *task)};
    TRY_VOID(manager::close_question(session, *task, withdrawal, *state_->telemetry));
  } else {
    manager::StopRequest stop(session, *task, request,
                              {.grace_ms = options.grace ? options.grace->count() : -1,
                               .is_quiet = manager::is_quiet(options, *task),
                               .escaped_reason = reason});
    TRY_VOID(stop.ask_and_wait());
    TRY(auto now, manager::assess(session, *task));
    if (now.task.found.unverified)
      return fail(ErrorCode::task_not_running,
                  fmt::format("{} can't be reached from here: {}; stop it there, or see `perdure reconcile --adopt`",
                              id.str(), now.explained));
    // It has ended; the caller did not ask to wait for disk space.
    if (now.task.found.unrecorded_end) return std::move(now.task);
  }
  // It has ended, or its runner was killed: in both cases the lock and the record now have the outcome.
  TRY(auto ended, manager::wait_for(session, *state_->held, *state_->telemetry, {.ids = {id}}));
  return ended.only();
}

Result<void> TaskManager::signal(const TaskId& id, int signal_number) {
  TRY_VOID(state_->check_may_act());
  const auto& session = state_->session;
  if (signal_number < 1 || signal_number > SIGRTMAX)
    return fail(ErrorCode::usage, fmt::format("{} is not a signal number", signal_number));
  TRY(auto task, get(id));
  const auto not_running = [&] {
    return fail(ErrorCode::task_not_running, fmt::format("{} is not running: {}", id.str(), name_of(task.status)));
  };
  if (is_terminal(task.status)) return not_running();
  if (task.executor && !task.host.runner)
    return manager::signal_far({state_->session, *state_->telemetry, *state_->far}, task, signal_number);
  if (!manager::is_own_record(session, task)) {
    const auto process = manager::live_foreign_process(task);
    auto pidfd = process ? open_pidfd(process->pid) : fail(ErrorCode::task_not_running, "");
    if (!pidfd || !is_alive(*process)) return not_running();
    return signal_pidfd(pidfd->get(), signal_number);
  }
  TRY(auto client, manager::RunnerClient::connect(session, id));
  if (!client || !client->send(fmt::format("{} {}", contract::kSignal, signal_number))) return not_running();
  const auto answer = client->receive();
  if (client->is_silent()) return manager::unresponsive(id);
  if (answer && *answer == contract::kOk) return {};
  return not_running();
}

}  // namespace perdure
