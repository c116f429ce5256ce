#include "manager/far/mirror.h"

#include "base/clock.h"
#include "base/files.h"
#include "contract/names.h"
#include "manager/far/turn.h"
#include "manager/status/reconcile.h"
#include "store/active.h"
#include "store/records.h"
#include "store/runner_lock.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

namespace perdure::manager {
namespace {

constexpr std::int64_t kLockPatienceMs = 5'000;

// Other processes hold it for one step only.
Result<store::RunnerLock> take_lock(const store::Session& session, const TaskId& id) {
  auto lock = store::RunnerLock::take_within(session, id, kLockPatienceMs);
  if (!lock) return std::unexpected(lock.error());
  if (*lock) return std::move(**lock);
  return fail(ErrorCode::session_unusable,
              fmt::format("another process has held the record of {} for too long", id.str()));
}

Result<Fd> open_log(const store::Session& session, const TaskId& id, int flags) {
  auto folder = session.open_folder(id);
  if (!folder) return folder;
  return open_at(folder->get(), contract::kOutputFile, flags, session.folder_path(id) + "/" + contract::kOutputFile);
}

std::int64_t size_of_file(const Fd& file) {
  struct stat about{};
  return ::fstat(file.get(), &about) == 0 ? about.st_size : 0;
}

// Before the record, so that a process that reads the record can read all of the output.
Result<> sync_log(const store::Session& session, const TaskId& id) {
  auto log = open_log(session, id, O_RDONLY);
  if (!log && is_absence(log.error().os_error)) return {};
  if (!log) return std::unexpected(log.error());
  if (::fsync(log->get()) != 0) return fail_errno("syncing the output of", id.str());
  return {};
}

void copy_limits(const Task& there, Task& task) {
  task.limits.timeout_ms = there.limits.timeout_ms;
  task.limits.timeout_from = there.limits.timeout_from;
  task.limits.idle_timeout_ms = there.limits.idle_timeout_ms;
  if (there.origin.cwd) task.origin.cwd = there.origin.cwd;
}

void copy_agent(const Task& there, Task& task) {
  if (there.agent.id) task.agent.id = there.agent.id;
  if (there.agent.type) task.agent.type = there.agent.type;
  task.agent.model = there.agent.model;
  task.agent.thinking_effort = there.agent.thinking_effort;
  task.agent.stop_code = there.agent.stop_code;
  task.agent.usage = there.agent.usage;
}

void copy_end(const Task& there, Task& task) {
  task.status = there.status;
  task.ended_at = time_at(ms_of(there.ended_at).value_or(std::max(now_ms(), ms_of(task.started_at))));
  task.process.exit_code = there.process.exit_code;
  task.process.signal = there.process.signal;
  task.stop_reason = there.stop_reason;
  task.timed_out_by = there.timed_out_by;
  task.lost_evidence = there.lost_evidence;
  task.recovered = there.recovered;
  task.output.dropped_bytes = there.output.dropped_bytes;
  task.output.dropped_at = there.output.dropped_at;
  task.output.unstored_bytes = there.output.unstored_bytes;
  task.process.leftovers = there.process.leftovers;
}

Result<Task> finish(const store::Session& session, Telemetry& telemetry, Task task, store::RunnerLock& lock,
                    const std::optional<far::StopWanted>& stop) {
  if (stop && stop->is_quiet && task.status == Status::killed) task.notification.suppressed = true;
  if (auto synced = sync_log(session, task.id); !synced) return std::unexpected(synced.error());
  if (auto done = commit_end(session, task, lock, telemetry); !done) return std::unexpected(done.error());
  // If it stays, the next process that finds it with a terminal record removes it.
  static_cast<void>(far::remove_entry(session, task.id));
  return task;
}

Result<Task> first_record(const store::Session& session, const far::FarTask& sent) {
  Task task = sent.planned;
  task.found.source = session.record_path(task.id);
  task.status = Status::running;
  task.started_seq = session.next_seq();
  return task;
}

Result<std::optional<Task>> recorded(const store::Session& session, const TaskId& id) {
  return store::find_record(session, id);
}

}  // namespace

std::int64_t mirrored_bytes(const store::Session& session, const TaskId& id) {
  const auto log = open_log(session, id, O_RDONLY);
  return log ? size_of_file(*log) : 0;
}

Result<> add_output(const store::Session& session, const TaskId& id, std::int64_t offset, std::string_view bytes) {
  auto lock = take_lock(session, id);
  if (!lock) return std::unexpected(lock.error());
  const auto add = [&]() -> Result<> {
    auto log = open_log(session, id, O_WRONLY | O_CREAT | O_APPEND);
    if (!log) return std::unexpected(log.error());
    const std::int64_t here = size_of_file(*log);
    if (offset > here)
      return fail(ErrorCode::session_unusable, fmt::format("bytes of the output of {} are missing", id.str()));
    const auto known = static_cast<std::size_t>(here - offset);
    if (known >= bytes.size()) return {};
    return write_all(log->get(), bytes.substr(known), id.str());
  };
  auto added = add();
  lock->release();
  return added;
}

Result<Task> take_over(const store::Session& session, Telemetry& telemetry, const TaskId& id, const Task& there,
                       const far::Welcome& from) {
  auto lock = take_lock(session, id);
  if (!lock) return std::unexpected(lock.error());
  const auto give_up = [&](Error error) -> Result<Task> {
    lock->release();
    return std::unexpected(std::move(error));
  };
  auto known = recorded(session, id);
  if (!known) return give_up(known.error());
  auto sent = far::read_far_task(session, id);
  if (!sent)
    return give_up(
        fail(ErrorCode::record_invalid,
             fmt::format("the data sent for {} is not signed by this user: nothing is done with it", id.str()))
            .error());
  if (*known && is_terminal((*known)->status)) {
    if (auto removed = far::remove_entry(session, id); !removed) return give_up(removed.error());
    lock->release();
    return std::move(**known);
  }
  auto task = *known ? Result<Task>(std::move(**known)) : first_record(session, *sent);
  if (!task) return give_up(task.error());
  task->started_at = there.started_at;
  copy_limits(there, *task);
  if (task->kind == Kind::agent) copy_agent(there, *task);
  ExecutorState& executor = *task->executor;
  executor.place = executor.type == "slurm" ? sent->place : there.id.str();
  if (!from.node.empty()) executor.node = from.node;
  if (!from.machine_id.empty()) executor.machine_id = from.machine_id;
  if (there.host.boot_id) executor.boot_id = there.host.boot_id;
  if (there.host.machine_id) executor.machine_id = there.host.machine_id;
  if (there.host.name) executor.node = there.host.name;
  if (there.executor) {  // that host has passed it on to an executor of its own
    executor.state = there.executor->state;
    executor.reason = there.executor->reason;
    if (there.executor->node) executor.node = there.executor->node;
  } else if (executor.type != "slurm") {
    executor.reason.reset();
  }
  executor.started_at = there.started_at;
  executor.seen_at = time_at(now_ms());
  executor.silent_since.reset();
  if (!*known)
    if (auto entered = store::add_to_active(session, id); !entered) return give_up(entered.error());
  if (!*known || !is_terminal(there.status))
    if (auto written = store::write_record(*task); !written) return give_up(written.error());
  if (!sent->place) {
    sent->place = there.id.str();
    if (auto written = far::write_far_task(session, *sent); !written) return give_up(written.error());
    if (auto told = far::enter(session, id); !told) return give_up(told.error());
  }
  if (is_terminal(there.status)) {
    copy_end(there, *task);
    if (task->stop_reason) task->stop_reason = in_our_words(session, *sent, std::move(*task->stop_reason));
    auto ended = finish(session, telemetry, std::move(*task), *lock, sent->stop);
    if (!ended) return give_up(ended.error());
    return ended;
  }
  lock->release();
  return std::move(*task);
}

Result<Task> end_without_record(const store::Session& session, Telemetry& telemetry, const TaskId& id,
                                const FarEnd& end) {
  auto lock = take_lock(session, id);
  if (!lock) return std::unexpected(lock.error());
  const auto give_up = [&](Error error) -> Result<Task> {
    lock->release();
    return std::unexpected(std::move(error));
  };
  auto known = recorded(session, id);
  if (!known) return give_up(known.error());
  const auto sent = far::read_far_task(session, id);
  if (!sent)
    return give_up(
        fail(ErrorCode::record_invalid,
             fmt::format("the data sent for {} is not signed by this user: nothing is done with it", id.str()))
            .error());
  if (*known && is_terminal((*known)->status)) {
    lock->release();
    return std::move(**known);
  }
  auto task = *known ? Result<Task>(std::move(**known)) : first_record(session, *sent);
  if (!task) return give_up(task.error());
  if (task->started_at == TimePoint()) task->started_at = task->executor->submitted_at.value_or(time_at(now_ms()));
  task->status = end.status;
  task->lost_evidence = end.evidence;
  if (!end.reason.empty()) task->stop_reason = end.reason;
  task->timed_out_by = end.timed_out_by;
  task->process.exit_code = end.exit_code;
  ExecutorState& executor = *task->executor;
  if (sent->place && !executor.place) executor.place = sent->place;
  if (!end.state.empty()) executor.state = end.state;
  if (!end.engine_reason.empty()) executor.reason = end.engine_reason;
  if (!end.exit.empty()) executor.exit = end.exit;
  executor.silent_since.reset();
  task->ended_at = time_at(std::max(now_ms(), ms_of(task->started_at)));
  auto ended = finish(session, telemetry, std::move(*task), *lock, sent->stop);
  if (!ended) return give_up(ended.error());
  return ended;
}

Result<> update_executor(const store::Session& session, const TaskId& id,
                         const std::function<void(ExecutorState&)>& change,
                         const std::function<bool(const ExecutorState&)>& differs) {
  auto lock = take_lock(session, id);
  if (!lock) return std::unexpected(lock.error());
  auto known = recorded(session, id);
  Result<> done;
  if (!known) done = std::unexpected(known.error());
  if (known && *known && !is_terminal((*known)->status) && far::is_mirror(session, **known) &&
      differs(*(*known)->executor)) {
    change(*(*known)->executor);
    done = store::write_record(**known);
  }
  lock->release();
  return done;
}

Result<> note_silence(const store::Session& session, const TaskId& id, const std::string& why) {
  auto lock = take_lock(session, id);
  if (!lock) return std::unexpected(lock.error());
  auto known = recorded(session, id);
  Result<> done;
  if (!known) done = std::unexpected(known.error());
  if (known && *known && !is_terminal((*known)->status) && far::is_mirror(session, **known) &&
      (!(*known)->executor->silent_since || (*known)->executor->reason != why)) {
    ExecutorState& executor = *(*known)->executor;
    if (!executor.silent_since) executor.silent_since = time_at(now_ms());
    executor.reason = why;
    done = store::write_record(**known);
  }
  lock->release();
  return done;
}

}  // namespace perdure::manager
