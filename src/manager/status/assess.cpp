#include "manager/status/assess.h"

#include "base/clock.h"
#include "base/files.h"
#include "base/process.h"
#include "base/try.h"
#include "codec/unescape.h"
#include "contract/outcome.h"
#include "far/far_task.h"
#include "manager/link/runner_process.h"
#include "manager/status/orphans.h"
#include "manager/status/question.h"
#include "store/records.h"
#include "store/runner_lock.h"

#include <unistd.h>

#include <fmt/format.h>

#include <cerrno>
#include <cstdlib>

namespace perdure::manager {
namespace {

constexpr std::int64_t kSameStartMs = 2'000;       // clocks and ticks may differ by this much
constexpr std::int64_t kOwnerMayWriteMs = 10'000;  // a living owner writes the terminal record within this time
constexpr std::int64_t kBootSlackMs = 5'000;

using Notes = store::RunnerNotes;

void note_exit(Task& task, const std::optional<Notes::Exit>& exit) {
  task.process.exit_code.reset();
  task.process.signal.reset();
  if (!exit) return;
  if (exit->by_signal) {
    task.process.signal = exit->value;
  } else {
    task.process.exit_code = exit->value;
  }
}

Assessment settled(Task task, std::string explained) {
  return {.task = std::move(task), .settles = true, .is_own = true, .explained = std::move(explained)};
}

Assessment lost(Task task, Evidence evidence, std::int64_t at_ms, std::string explained) {
  task.status = Status::lost;
  task.lost_evidence = evidence;
  task.ended_at = time_at(std::max(at_ms, ms_of(task.started_at)));
  return settled(std::move(task), std::move(explained));
}

struct Words {
  std::string text;
  Words& operator<<(std::string_view part) {
    text += part;
    return *this;
  }
  Words& operator<<(long number) {
    text += fmt::to_string(number);
    return *this;
  }
};

std::string reason_in_words(contract::ReasonText which, const Task& task, const Notes& notes) {
  Words words;
  switch (which) {
    case contract::ReasonText::none: break;
    case contract::ReasonText::noted: return notes.decision->reason;
    case contract::ReasonText::out_of_memory:
      contract::write_out_of_memory(words, task.limits.memory_max.value_or(0));
      break;
    case contract::ReasonText::silent_driver:
      contract::write_silent_driver(words, notes.exit->by_signal, notes.exit->value);
      break;
  }
  return words.text;
}

// The runner is gone and had noted the cause: contract/outcome.h decides, as in the runner.
Assessment recovered(Task task, const Notes& notes) {
  const contract::Causes causes{
      .is_agent = task.kind == Kind::agent,
      .decided = notes.decision ? notes.decision->cause : contract::Cause::none,
      .has_reason = notes.decision && !notes.decision->reason.empty(),
      .exited = notes.exit.has_value(),
      .by_signal = notes.exit && notes.exit->by_signal,
      .value = notes.exit ? notes.exit->value : 0,
      .out_of_memory = notes.out_of_memory,
  };
  const contract::Outcome outcome = contract::outcome_of(causes);
  task.recovered = true;
  note_exit(task, outcome.shows_exit ? notes.exit : std::nullopt);
  task.ended_at = time_at(std::max(ms_of(task.started_at), notes.exit ? notes.exit->at_ms : notes.decision->at_ms));
  task.status = status_from(contract::word_of(outcome.ending)).value_or(Status::lost);
  if (outcome.by_idle) task.timed_out_by = "idle";
  if (std::string reason = reason_in_words(outcome.reason, task, notes); !reason.empty())
    task.stop_reason = std::move(reason);
  if (outcome.is_quiet) task.notification.suppressed = true;
  std::string explained = fmt::format("the runner is gone; it had noted how the task ended: {}", name_of(task.status));
  return settled(std::move(task), std::move(explained));
}

Assessment unverified(Task task, std::string explained) {
  task.found.unverified = true;
  return {.task = std::move(task), .explained = std::move(explained)};
}

Assessment unverified_own(Task task, std::string explained) {
  Assessment found = unverified(std::move(task), std::move(explained));
  found.is_own = true;
  return found;
}

bool is_another_boot(const Task& task) {
  return task.host.boot_id && !boot_id().empty() && *task.host.boot_id != boot_id();
}

bool is_another_machine(const Task& task) {
  return task.host.machine_id && !machine_id().empty() && *task.host.machine_id != machine_id();
}

// Started under another boot: if this is the machine and the session that it ran in, none of its processes can live.
// Cloned machines share one id, and a record of another machine may look like another boot of this one.
Assessment assess_after_boot(const store::Session& session, Task task) {
  const bool is_of_0_1 = !task.host.session_folder;
  const bool is_here = task.host.machine_id && !machine_id().empty() && *task.host.machine_id == machine_id();
  if (is_of_0_1 || (is_here && is_on_local_disk(session.path())))
    return lost(std::move(task), Evidence::rebooted, boot_time_ms(), "the machine was started anew since");
  return unverified_own(std::move(task), "it was started under another boot, perhaps of another machine");
}

// May the processes that this process sees prove anything about the task?
std::optional<std::string> why_processes_prove_nothing(const Task& task) {
  if (!look_at_process(::getpid())) return "the processes of this machine can't be seen here: /proc is not usable";
  if (task.host.pid_namespace && *task.host.pid_namespace != own_pid_namespace())
    return "it runs in another pid namespace, as in another container";
  if (!task.host.pid_namespace && !in_initial_pid_namespace())
    return "its record does not say in which pid namespace it runs, and this one is not the machine's own";
  return std::nullopt;
}

// The user declared (L52) that this container is alone with its session. A free lock under this boot then proves that
// the task's container is gone.
bool is_sole_container() {
  const char* const value = std::getenv("PERDURE_SOLE_CONTAINER");  // NOLINT(concurrency-mt-unsafe): never changed here
  return value != nullptr && std::string_view(value) == "1";
}

// The runner is gone: its notes decide, then what is known of the processes.
Result<Assessment> assess_own(const store::Session& session, Task task) {
  if (is_own_question(task)) return assess_question(session, std::move(task));
  if (is_copy(session, task))
    return unverified_own(std::move(task), "this session is a copy of the one in which it was started");
  Notes notes = store::read_runner_notes(session, task.id);
  if (!notes.exit && !notes.decision)
    if (const auto wish = read_stop_wish(session, task.id)) {
      notes.decision = Notes::Decision{.cause = wish->is_quiet ? contract::Cause::stop_quietly : contract::Cause::stop,
                                       .at_ms = now_ms(),
                                       .reason = codec::unescape(wish->escaped_reason)};
      if (find_runner_process(session, task))
        return unverified_own(std::move(task), "it is being stopped by its runner, whose lock is gone");
    }
  if (notes.exit || notes.decision) return recovered(std::move(task), notes);
  if (is_another_boot(task)) return assess_after_boot(session, std::move(task));
  if (is_another_machine(task)) return unverified_own(std::move(task), "it runs on another machine");
  const bool is_in_process = task.host.in_process.value_or(false);
  if (auto why = why_processes_prove_nothing(task); why && !is_in_process) {
    if (is_sole_container() && task.host.pid_namespace)
      return lost(std::move(task), Evidence::adopted, now_ms(), *why + "; this container is said to be the only one");
    return unverified_own(std::move(task), *std::move(why));
  }
  for (const auto& runner : {notes.holder, task.host.runner})
    if (runner && !is_in_process && runner->start_ticks > 0 && is_running(*runner))
      return unverified_own(std::move(task),
                            fmt::format("its runner, process {}, is alive, but its lock is gone", runner->pid));
  if (task.host.runner && task.host.runner->start_ticks == 0 && !is_in_process)
    return unverified_own(std::move(task), "its record does not say when its runner was started");
  if (notes.holder && !notes.gate_opened)
    return lost(std::move(task), Evidence::never_started, now_ms(),
                "its runner was killed before the command was let go");
  // A program with work in its own process: all processes in its kernel session are its own, none is the task's.
  const Remains remains = is_in_process ? Remains() : find_remains(session, task);
  if (!remains.processes.empty()) {
    task.found.runner_gone = true;
    return Assessment{
        .task = std::move(task),
        .settles = true,
        .is_own = true,
        .explained = fmt::format("the runner was killed; {} of its processes are alive", remains.processes.size())};
  }
  std::string explained = "the runner was killed and no process with the task's mark is left";
  if (remains.unread > 0) {
    explained += fmt::format("; {} processes could not be looked at", remains.unread);
    task.process.unread_processes = remains.unread;
  }
  return lost(std::move(task), Evidence::runner_killed, now_ms(), std::move(explained));
}

// It runs on another host, so the processes of this machine prove nothing about it.
Assessment assess_mirror(Task task) {
  const ExecutorState& executor = *task.executor;
  if (executor.silent_since)
    return unverified_own(std::move(task), fmt::format("{} does not answer: {}", executor.name,
                                                       executor.reason.value_or("no reason is known")));
  return {.task = task, .is_own = true, .explained = fmt::format("it runs on {}, by its last report", executor.name)};
}

// It has ended, and its runner is still trying to write the terminal record (D29).
std::optional<std::string> unrecorded_end(const store::Session& session, const Task& task) {
  if (store::refusal_of(session, task.id) == 0) return std::nullopt;
  const Notes notes = store::read_runner_notes(session, task.id);
  if (notes.refused == 0 || (!notes.exit && !notes.decision)) return std::nullopt;
  const Task ended = recovered(task, notes).task;
  std::string how(name_of(ended.status));
  const bool by_itself = ended.status == Status::completed || ended.status == Status::failed;
  if (by_itself && ended.process.exit_code) how = fmt::format("exit {}", *ended.process.exit_code);
  if (by_itself && ended.process.signal) how = fmt::format("signal {}", *ended.process.signal);
  const bool is_full = notes.refused == ENOSPC || notes.refused == EDQUOT;
  return fmt::format("ended ({}); {}, the record is not written yet", how,
                     is_full ? "the disk is full" : "the disk refuses: " + describe_errno(notes.refused));
}

bool names_command(const std::string& line, const Task& task) {
  return !task.process.command.empty() && line.contains(task.process.command);
}

Assessment lost_foreign(Task task, Evidence evidence, std::int64_t at_ms, std::string explained) {
  Assessment found = lost(std::move(task), evidence, at_ms, std::move(explained));
  found.is_own = false;
  return found;
}

// Another program's record. Its owner may be alive, so the proof must be stricter.
Assessment assess_foreign(Task task) {
  const std::int64_t boot = boot_time_ms();
  if (boot > ms_of(task.started_at) + kBootSlackMs)
    return lost_foreign(std::move(task), Evidence::rebooted, boot, "the machine was started after the task");
  if (task.kind != Kind::process || task.process.pid <= 0)
    return unverified(std::move(task), "it has no process of its own: only its owner knows; see reconcile --adopt");
  if (live_foreign_process(task))
    return {.task = task,
            .explained = fmt::format("process {} is alive and is the one the record means", task.process.pid)};
  if (!in_initial_pid_namespace() && !look_at_process(task.process.pid))
    return unverified(std::move(task), "its process is not seen from this pid namespace, which proves nothing");
  const std::int64_t age = now_ms() - store::written_at(task);
  if (age < kOwnerMayWriteMs)
    return unverified(std::move(task), "its process is gone; its owner may still be writing the end");
  const std::string explained = fmt::format("process {} is gone", task.process.pid);
  return lost_foreign(std::move(task), Evidence::process_gone, now_ms(), explained);
}

}  // namespace

bool is_own_record(const store::Session& session, const Task& task) {
  // A runner writes only into the session's own folder; a record elsewhere with a runner's keys is a copy.
  return (task.host.runner || is_own_question(task)) && task.found.source == session.record_path(task.id);
}

std::optional<ProcessIdentity> live_foreign_process(const Task& task) {
  const auto look = look_at_process(task.process.pid);
  if (!look || look->is_dead()) return std::nullopt;
  const bool same_start = std::llabs(start_time_ms(look->start_ticks) - ms_of(task.started_at)) <= kSameStartMs;
  if (!same_start && !names_command(command_line_of(look->pid), task)) return std::nullopt;
  return ProcessIdentity{task.process.pid, look->start_ticks};
}

Result<Assessment> assess_without_runner(const store::Session& session, Task recorded) {
  return assess_own(session, std::move(recorded));
}

Result<Assessment> assess(const store::Session& session, Task recorded) {
  if (is_terminal(recorded.status)) return Assessment{.task = std::move(recorded), .explained = "it has ended"};
  if (far::is_mirror(session, recorded)) return assess_mirror(std::move(recorded));
  if (!is_own_record(session, recorded)) return assess_foreign(std::move(recorded));
  auto alive = store::is_runner_alive(session, recorded.id);
  if (!alive) return std::unexpected(alive.error());
  // A child of the dead program may have inherited the lock: then the program's own death is the proof.
  if (*alive && recorded.host.in_process.value_or(false) && recorded.host.runner && !is_running(*recorded.host.runner))
    *alive = false;
  if (*alive) {
    const auto look = recorded.process.pid > 0 ? look_at_process(recorded.process.pid) : std::nullopt;
    recorded.found.paused =
        look && look->state == 'T' && recorded.host.runner &&
        (look->session == recorded.host.runner->pid || look->session == recorded.process.pid);  // the latter: --pty
    recorded.found.unrecorded_end = unrecorded_end(session, recorded);
    return Assessment{.task = std::move(recorded), .is_own = true, .explained = "its runner is alive"};
  }
  // The record counts only now: the runner may have committed the end after `recorded` was read.
  TRY(auto again, store::reread(recorded));
  if (is_terminal(again.status))
    return Assessment{.task = std::move(again), .is_own = true, .explained = "it has ended"};
  return assess_own(session, std::move(again));
}

}  // namespace perdure::manager
