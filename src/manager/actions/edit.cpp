#include "base/error.h"
#include "base/json_writer.h"
#include "base/try.h"
#include "base/words.h"
#include "codec/json.h"
#include "codec/record.h"
#include "contract/control.h"
#include "contract/names.h"
#include "manager/actions/start_file.h"
#include "manager/link/launch_spec.h"
#include "manager/link/limits.h"
#include "manager/link/program.h"
#include "manager/link/runner_client.h"
#include "manager/link/state.h"
#include "manager/link/task_ids.h"
#include "manager/status/queue.h"
#include "store/queue.h"
#include "store/records.h"
#include "store/runner_lock.h"

#include <fmt/format.h>

#include <algorithm>

// Changes a task that waits in the queue (L05). The runner that waits knows the task as it was, so it leaves first; from
// then on the entry in queue/ alone is the task, as after a SIGKILL of the runner, and whoever holds runner.lock may
// replace it. A runner that somebody starts meanwhile finds the lock taken, or another file, and leaves.
namespace perdure {

using namespace manager;

namespace {

constexpr int kAttempts = 20;  // others may start a runner for the entry again and again
constexpr std::int64_t kLockPatienceMs = 500;

std::unexpected<Error> not_queued(const TaskId& id) {
  return fail(ErrorCode::task_not_running,
              fmt::format("{} does not wait in the queue: only what has not started can be changed", id.str()));
}

bool changes_command(const EditOptions& options) {
  return options.shell_line || !options.argv.empty();
}

Result<> check_edit(const EditOptions& options) {
  const auto holds_nul = [](const std::string& text) { return text.contains('\0'); };
  const auto is_negative = [](const auto& time) { return time && time->count() < 0; };
  if (options.shell_line && !options.argv.empty())
    return fail(ErrorCode::usage, "give a command or a shell line, not both");
  if ((options.shell_line && (options.shell_line->empty() || holds_nul(*options.shell_line))) ||
      std::ranges::any_of(options.argv, holds_nul))
    return fail(ErrorCode::usage, "the command is empty, or holds a NUL byte");
  if (is_negative(options.timeout) || is_negative(options.idle_timeout) || is_negative(options.grace))
    return fail(ErrorCode::usage, "a length of time is negative");
  if (options.output_limit.value_or(0) < 0) return fail(ErrorCode::usage, "the output limit is negative: 0 means none");
  if (options.priority && (*options.priority < 0 || *options.priority > contract::kMostPriority))
    return fail(ErrorCode::usage,
                fmt::format("the priority {} is not from 0 to {}", *options.priority, contract::kMostPriority));
  const int places = (options.priority ? 1 : 0) + (options.before ? 1 : 0) + (options.first ? 1 : 0);
  if (places > 1) return fail(ErrorCode::usage, "priority, before and first each say where it waits: give one of them");
  return {};
}

// Has its runner leave, and takes its place. Absent: it waits no more.
Result<std::optional<store::RunnerLock>> take_over(const store::Session& session, const TaskId& id) {
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    auto client = RunnerClient::connect(session, id);
    if (!client) return std::unexpected(client.error());
    if (*client && (*client)->send(std::string(contract::kYield) + "\n")) {
      const auto answer = (*client)->receive();
      if (!answer && (*client)->is_silent()) return unresponsive(id);
      if (answer && *answer != contract::kOk) return std::nullopt;
    }
    TRY(auto lock, store::RunnerLock::take_within(session, id, kLockPatienceMs));
    if (lock) return lock;
  }
  return unresponsive(id);
}

Result<std::optional<store::QueueEntry>> entry_of(const store::Session& session, const TaskId& id) {
  TRY(auto entries, store::list_queue(session));
  const auto found = std::ranges::find(entries, id, &store::QueueEntry::id);
  if (found == entries.end()) return std::nullopt;
  return *found;
}

// Where it waits from now on, as the name of its entry; `task` gets the priority.
Result<std::string> place_of(const store::Session& session, const store::QueueEntry& entry, const EditOptions& options,
                             Task& task) {
  if (!options.priority && !options.before && !options.first) return entry.name;
  if (entry.follows && !options.priority)
    return fail(ErrorCode::usage,
                fmt::format("{} waits for another task first: it has no place among the others yet", entry.id.str()));
  if (options.priority) task.queue.priority = *options.priority;
  if (entry.follows) return entry.name;
  if (options.priority) return store::entry_name(entry.id, *options.priority, session.next_seq());
  TRY(auto entries, store::list_queue(session));
  std::erase_if(entries, [&](const store::QueueEntry& one) { return one.follows || one.id == entry.id; });
  const auto next =
      options.first ? entries.begin() : std::ranges::find(entries, *options.before, &store::QueueEntry::id);
  if (options.first && next == entries.end()) return entry.name;
  if (next == entries.end())
    return fail(ErrorCode::usage,
                fmt::format("{} does not wait for a slot: nothing can be put before it", options.before->str()));
  task.queue.priority = next->priority;
  return store::entry_name(entry.id, next->priority, next->number - 1);
}

Result<> change_command(const EditOptions& options, const std::string& cwd, SpecParts& spec, Task& task) {
  if (task.kind != Kind::process)
    return fail(ErrorCode::usage,
                fmt::format("{} runs no command of yours: the rest of it can be changed", task.id.str()));
  const std::vector<std::string> argv =
      options.shell_line ? std::vector<std::string>{options.shell, "-c", *options.shell_line} : options.argv;
  TRY(auto program, find_program(argv.front(), spec.variable("PATH"), cwd));
  TRY_VOID(check_can_run(program, argv.front(), cwd));
  spec.program() = program;
  spec.set_argv(argv);
  const std::string before = first_line_of(task.process.command);
  task.process.command = options.shell_line ? *options.shell_line : shell_quoted(options.argv);
  if (task.description == before) task.description = first_line_of(task.process.command);
  return {};
}

Result<> change_limits(const EditOptions& options, SpecParts& spec, Task& task) {
  if (options.timeout) spec.header.timeout_ms = options.timeout->count();
  if (options.grace) spec.header.grace_ms = options.grace->count();
  if (options.output_limit) spec.header.output_limit = *options.output_limit;
  if (options.idle_timeout) {
    spec.header.idle_timeout_ms = options.idle_timeout->count();
    task.limits.idle_timeout_ms.reset();
    if (options.idle_timeout->count() > 0) task.limits.idle_timeout_ms = options.idle_timeout->count();
  }
  if (!options.memory_max && !options.cpu_max && !options.pids_max) return {};
  StartOptions wanted;
  wanted.memory_max = options.memory_max.value_or(spec.header.memory_max);
  wanted.cpu_max = options.cpu_max.value_or(static_cast<double>(spec.header.cpu_max_milli) / 1000);
  wanted.pids_max = options.pids_max.value_or(spec.header.pids_max);
  TRY_VOID(check_limits(wanted));
  task.limits.memory_max.reset();
  task.limits.cpu_max_milli.reset();
  task.limits.pids_max.reset();
  note_limits(wanted, task);
  const manager::Limits limits = plan_limits(wanted, task.id);
  spec.header.memory_max = limits.memory_max;
  spec.header.cpu_max_milli = limits.cpu_max_milli;
  spec.header.pids_max = limits.pids_max;
  spec.header.pids_of_user = limits.pids_of_user;
  spec.cgroup_parent() = limits.cgroup_parent;
  spec.cgroup() = json_escaped(limits.cgroup);
  return {};
}

// So that rerun() starts it as it was changed.
void change_start(const store::Session& session, const TaskId& id, const EditOptions& options) {
  auto start = read_start(session, id);
  if (!start) return;
  if (changes_command(options)) {
    start->argv = options.argv;
    start->shell_line = options.shell_line;
    start->shell = options.shell;
  }
  if (options.description) start->description = *options.description;
  start->timeout = options.timeout.value_or(start->timeout);
  start->idle_timeout = options.idle_timeout.value_or(start->idle_timeout);
  start->grace = options.grace.value_or(start->grace);
  if (options.output_limit) start->output_limit = options.output_limit;
  start->memory_max = options.memory_max.value_or(start->memory_max);
  start->cpu_max = options.cpu_max.value_or(start->cpu_max);
  start->pids_max = options.pids_max.value_or(start->pids_max);
  remove_start(session, id);
  write_start(session, id, *start, std::string(start->cwd));
}

// With the lock of its runner. Absent: it waits no more.
Result<bool> change(const store::Session& session, const TaskId& id, const EditOptions& options) {
  TRY(auto entry, entry_of(session, id));
  if (!entry) return false;
  TRY(auto record, store::find_record(session, id));
  if (record) return false;  // its runner was killed while the command was being started
  TRY(auto parts, entry_parts(session, *entry));
  if (!parts) return false;
  auto spec = SpecParts::read(parts->launch_spec);
  if (!spec) return fail(ErrorCode::record_invalid, fmt::format("queue/{} holds no launch specification", entry->name));
  Task& task = parts->task;
  if (changes_command(options)) TRY_VOID(change_command(options, spec->cwd(), *spec, task));
  if (options.description) task.description = *options.description;
  TRY_VOID(change_limits(options, *spec, task));
  TRY(auto name, place_of(session, *entry, options, task));
  spec->header.priority = static_cast<std::uint32_t>(task.queue.priority.value_or(0));
  spec->description() = json_escaped(task.description);
  spec->constant_members() = codec::constant_members(task);
  parts->launch_spec = spec->bytes();
  if (spec->constant_members().size() > codec::kMaxRecordBytes - 65536)
    return fail(ErrorCode::usage, "the command with its description is too long for a record: put it into a script");
  TRY_VOID(replace_entry(session, *entry, *parts, name));
  change_start(session, id, options);
  return true;
}

}  // namespace

Result<Task> TaskManager::edit(const TaskId& id, const EditOptions& options) {
  if (auto fine = state_->act_and_revive(); !fine) return std::unexpected(fine.error());
  if (auto fine = check_edit(options); !fine) return std::unexpected(fine.error());
  const auto& session = state_->session;
  auto task = get(id);
  if (!task) return task;
  if (task->status != Status::queued || task->executor) return not_queued(id);
  auto entry = entry_of(session, id);
  if (!entry) return std::unexpected(entry.error());
  if (!*entry) return not_queued(id);
  // What is refused is refused before its runner is asked to leave, and leaves the task as it is.
  if (auto parts = entry_parts(session, **entry); !parts) return std::unexpected(parts.error());
  auto lock = take_over(session, id);
  if (!lock) return std::unexpected(lock.error());
  if (!*lock) return not_queued(id);
  auto changed = change(session, id, options);
  (*lock)->release();
  lock->reset();
  const auto revived = revive_next(session, state_->options.runner, *state_->telemetry, {id});
  if (!changed) return std::unexpected(changed.error());
  if (!*changed) return not_queued(id);
  if (!revived) return std::unexpected(revived.error());
  return get(id);
}

}  // namespace perdure
