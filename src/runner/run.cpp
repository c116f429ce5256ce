#include "runner/run.h"

#include "contract/control.h"
#include "contract/lock_page.h"
#include "contract/names.h"
#include "runner/record/outbox.h"
#include "runner/record/telemetry.h"

namespace runner {

using namespace perdure::contract;

namespace {

// A pipe's capacity: plain reads of it are faster than splice (architecture.md).
constexpr long kChunk = 65536;
constexpr long kKillPatienceMs = 5'000;  // for SIGKILL to take effect before survivors are reported
constexpr long kRetryMs = 1'000;         // between attempts to commit while the disk refuses
// For a driver to write the final message and to end the agent after it reported the turn's outcome.
constexpr long kLeaveMs = 10'000;
constexpr long kReaderMs = 1'000;  // for a slow reader while its task is being ended
constexpr int kReadsAtOnce = 16;   // before other sources are served

}  // namespace

void Run::supervise() {
  if (life_.is(State::parked)) try_to_start();
  look_at_children();  // children that exited before the signal was watched
  while (!life_.is(State::over)) {
    epoll_event events[8];
    // No event reports that descriptors or disk space have become available again.
    const bool tries_again = control_.is_paused() || life_.caller == Caller::left;
    const bool reaps = processes_.tree.has_unreaped();
    const int patience_ms = reaps ? 0 : tries_again ? static_cast<int>(kRetryMs) : -1;
    const int n = sys::wait_events(loop_.epoll.get(), events, 8, patience_ms);
    control_.listen_again();
    try_again_to_detach();
    if (n == 0 && processes_.tree.has_unreaped()) look_at_children();
    for (int i = 0; i < n && !life_.is(State::over); ++i) {
      switch (Loop::source_of(events[i])) {
        case Source::output: on_output(); break;
        case Source::signals: on_signals(); break;
        case Source::timer: on_timer(); break;
        case Source::idle: on_idle(); break;
        case Source::listener: control_.accept(loop_.epoll.get(), Loop::tag(Source::client)); break;
        case Source::client: on_client(Loop::client_of(events[i]), events[i].events); break;
        case Source::caller: on_caller(); break;
        case Source::stream: on_stream(); break;
        case Source::awaited:
          if (life_.is(State::parked)) try_to_start();
          break;
      }
    }
  }
  processes_.limits.remove();
}

// Reads the available bytes, at most `most`: an orphan that writes for ever must not delay the end. Returns how many
// were read. A slow reader in the foreground stops the reading until it has caught up.
long Run::pump(long most) {
  static char buffer[kChunk];
  const long wanted = most;
  while (output_.pipe && most > 0 && !output_.stream.is_behind()) {
    const long n = sys::read(output_.pipe.get(), buffer, static_cast<unsigned long>(most < kChunk ? most : kChunk));
    if (n == -EINTR) continue;
    if (n == -EAGAIN) break;
    if (n <= 0) {                         // end of output: every writer is gone
      loop_.unwatch(output_.pipe.get());  // a terminal stays open for its input, and would be reported for ever
      output_.pipe.reset();
      break;
    }
    most -= n;
    deadlines_.idle.saw_output();
    if (!output_.log.append(buffer, static_cast<unsigned long>(n)) && life_.is(State::running)) {
      const auto why = Text<96>() << "Output limit of " << spec_.header->output_limit << " bytes exceeded";
      end(Event::output, why.view(), spec_.header->grace_ms);
    }
    output_.stream.give(buffer, static_cast<unsigned long>(n));
    if (output_.stream.is_behind()) {
      loop_.unwatch(output_.pipe.get());
      loop_.try_to_watch(output_.stream.fd(), Source::stream, EPOLLOUT);
    }
  }
  return wanted - most;
}

void Run::on_output() {
  pump(kReadsAtOnce * kChunk);
}

void Run::on_signals() {
  signalfd_siginfo info{};
  bool terminate = false;
  while (sys::read(loop_.signals.get(), &info, sizeof info) > 0) terminate |= info.ssi_signo == SIGTERM;
  look_at_children();
  if (terminate) apply(Event::sigterm);
}

// Call whenever a process may have exited.
void Run::look_at_children() {
  Facts& facts = durable_.facts;
  processes_.tree.reap_adopted();
  siginfo_t how{};
  if (!processes_.tree.has_command_ended() && sys::look_at_end(facts.pid, how) == 0 && how.si_pid != 0) {
    processes_.tree.command_ended();
    if (how.si_code == CLD_EXITED) {
      facts.exit_code = how.si_status;
    } else {
      facts.signal = how.si_status;
    }
    facts.ended_ms = sys::now_ms();
    if (processes_.limits.ran_out_of_memory()) durable_.lock.note_out_of_memory();
    if (may_restart()) note_attempt();
    Seen now = seen();
    now.restarts = restarts_after_exit();
    // An exit that is followed by another attempt decides nothing, also after a SIGKILL of this process (I30).
    if (!now.restarts) durable_.lock.note_exit(facts.exit_code, facts.signal, facts.ended_ms);
    // The output was written before the exit, so an exceeded limit counts first.
    if (life_.is(State::running) && output_.pipe) pump(output_.waiting());
    apply(Event::command_exited, now, {});
  }
  evaluate();
}

// The tasks that it owns are asked in any case; the policy decides about its other processes.
void Run::end_others() {
  if (!processes_.tree.has_others()) return;
  const long grace = spec_.header->grace_ms;
  processes_.ask_owned(grace);
  if (spec_.header->leftovers != SpecLeftovers::kill || processes_.tree.count() == 0) return;
  if (grace > 0) return terminate_tree(grace);
  apply(Event::timer);  // a grace of 0 is over at once
}

Seen Run::seen() const {
  return {.is_agent = is_agent(),
          .policy = spec_.header->leftovers,
          .detaches = spec_.header->on_timeout == SpecOnTimeout::detach,
          .at_once = spec_.header->grace_ms <= 0,
          .exited = processes_.tree.has_command_ended(),
          .reader_behind = output_.stream.is_behind()};
}

void Run::apply(Event event, const Seen& seen, const Details& details) {
  const Step step = next(life_, event, seen);
  life_ = step.next;
  act(step.actions, details);
}

// In the order of the enumerators. An action may raise the next event, so after one that may end the task only `look`
// may follow.
void Run::act(Actions actions, const Details& details) {
  if (actions.has(Action::say_silent)) say_silent();
  if (actions.has(Action::decide)) decide(details.reason);
  if (actions.has(Action::note_late_exit)) durable_.facts.ended_ms = sys::now_ms();
  if (actions.has(Action::note_exit) || actions.has(Action::note_late_exit))
    durable_.lock.note_decision(Cause::exit, durable_.reason.view(), durable_.facts.ended_ms);
  if (actions.has(Action::note_turn)) note_turn(details.reason);
  if (actions.has(Action::disarm)) deadlines_.disarm();
  if (actions.has(Action::arm_leave))
    deadlines_.arm(spec_.header->grace_ms > kLeaveMs ? spec_.header->grace_ms : kLeaveMs);
  if (actions.has(Action::arm_reader)) deadlines_.arm(kReaderMs);
  if (actions.has(Action::arm_retry)) deadlines_.arm(kRetryMs);
  if (actions.has(Action::drop_reader)) drop_stream();
  if (actions.has(Action::terminate)) terminate_tree(details.grace_ms);
  if (actions.has(Action::ask_owned)) processes_.ask_owned(details.grace_ms);
  if (actions.has(Action::end_others)) end_others();
  if (actions.has(Action::follow)) follow_driver();
  if (actions.has(Action::kill)) kill_tree();
  if (actions.has(Action::look)) look_at_children();
  if (actions.has(Action::read_wish)) end_as_wished();
  if (actions.has(Action::detach)) try_again_to_detach();
  if (actions.has(Action::detach_late)) detach_at_deadline();
  if (actions.has(Action::try_to_start)) try_to_start();
  if (actions.has(Action::end_parked)) {
    if (!actions.has(Action::decide)) durable_.reason << details.reason;
    end_parked();
  }
  if (actions.has(Action::settle)) settle(details.leftovers);
  if (actions.has(Action::end_attempt)) end_attempt();
  if (actions.has(Action::rest)) rest();
  if (actions.has(Action::restart)) restart();
  if (actions.has(Action::commit)) commit();
  if (actions.has(Action::finish)) finish();
}

// Before it is acknowledged: what was acknowledged is true even if this process is killed (L55).
void Run::note_wish(Cause cause, std::string_view reason) {
  if (life_.is_open() || life_.is(State::parked)) durable_.lock.note_decision(cause, reason, sys::now_ms());
}

// SIGTERM: a stop that could not reach the socket left its request in the task's folder; without that file it is a bare
// signal.
void Run::end_as_wished() {
  static char text[kMaxReasonBytes + 64];
  const Fd wish(sys::open_at(folders_.task.get(), kStopWish, O_RDONLY | O_NOFOLLOW));
  struct stat about{};
  long n = 0;
  if (wish && ::fstat(wish.get(), &about) == 0 && S_ISREG(about.st_mode)) n = sys::read(wish.get(), text, sizeof text);
  request::Stop wanted;
  if (n > 0 && request::parse_stop_wish({text, static_cast<unsigned long>(n)}, wanted))
    return end(event_of(wanted), wanted.reason, grace_of(wanted.grace_ms));
  if (inherited_.job_ends >= 0) return end_by_engine();
  const bool has_folder = ::fstat(folders_.task.get(), &about) == 0 && about.st_nlink > 0;
  end(Event::stop, has_folder ? "The runner was told to terminate" : "SIGTERM", spec_.header->grace_ms);
}

// In place only the batch engine sends signals, and its reason can be found out only now.
void Run::end_by_engine() {
  if (inherited_.job_ends > 0 && sys::now_ms() >= inherited_.job_ends * 1000)
    return end(Event::deadline, "", spec_.header->grace_ms);
  end(Event::stop, "Cancelled in Slurm", spec_.header->grace_ms);
}

int Run::exit_status() const {
  constexpr int kTimedOut = 124, kKilled = 143;
  if (durable_.facts.status == "completed") return 0;
  if (durable_.facts.status == "timed_out") return kTimedOut;
  if (durable_.facts.status == "killed") return kKilled;
  if (durable_.facts.signal > 0) return 128 + durable_.facts.signal;
  return durable_.facts.exit_code > 0 ? durable_.facts.exit_code : 1;
}

void Run::end(Event why, std::string_view reason, long grace_ms) {
  Seen now = seen();
  now.at_once = grace_ms <= 0;
  apply(why, now, {.reason = reason, .grace_ms = grace_ms});
}

// Before any other action: later events find that this one came first, also after a SIGKILL.
void Run::decide(std::string_view reason) {
  durable_.reason << reason;
  if (may_restart() && processes_.tree.has_command_ended())
    durable_.lock.note_exit(durable_.facts.exit_code, durable_.facts.signal, durable_.facts.ended_ms);
  durable_.lock.note_decision(life_.cause, reason, sys::now_ms());
}

void Run::terminate_tree(long grace_ms) {
  // The process group at once, then the processes that left it. SIGCONT too, since a stopped process can't handle the
  // signal. A subagent is stopped by its driver, so that it can end its turn.
  const int group = life_.is(State::leftovers) ? 0 : durable_.facts.pid;
  processes_.ask_to_end(stop_signal(), group, is_agent() && !processes_.tree.has_command_ended());
  deadlines_.arm(grace_ms);
}

void Run::kill_tree() {
  Facts& facts = durable_.facts;
  deadlines_.disarm();
  if (!life_.is(State::clearing)) sys::kill_group(facts.pid, SIGKILL);
  facts.survivor_count = processes_.tree.kill_all(kKillPatienceMs);
  facts.survivors = processes_.tree.survivors();
  if (facts.survivor_count > Tree::kMaxSurvivors) facts.survivor_count = Tree::kMaxSurvivors;
  look_at_children();
}

void Run::on_timer() {
  if (!deadlines_.has_fired()) return;
  if (life_.is(State::resting) && deadline_left_ms() == 0) return end(Event::deadline, "", spec_.header->grace_ms);
  if (life_.is(State::resting) && sys::now_us(CLOCK_MONOTONIC) / 1000 < restarts_.rests_until_ms) return arm_rest();
  const State armed_in = life_.state;
  if (life_.is_open() || life_.is(State::leaving)) look_at_children();  // an exit before the deadline wins
  // If an exit changed the state, its timer has not expired: this one was for the earlier state.
  if (life_.state != armed_in && !life_.is_open()) return;
  apply(Event::timer, seen(), {.grace_ms = spec_.header->grace_ms});
}

void Run::on_idle() {
  on_output();                                                   // pending output was written in time
  if (output_.stream.is_behind()) deadlines_.idle.saw_output();  // a slow reader makes the command silent
  const bool over = deadlines_.idle.is_over();
  if (over) look_at_children();  // an exit before the timeout wins
  if (over) end(Event::idle, "", spec_.header->grace_ms);
  if (!life_.is_open()) deadlines_.idle.stop();
}

// Checks whether the task is over, and no more than is needed to tell.
void Run::evaluate() {
  Seen now = seen();
  if (life_.has_ended()) {
    if (life_.is(State::over)) return;
    now.others = processes_.tree.count() > 0;
    return apply(Event::processes, now, {});
  }
  if (!life_.waits_for_processes() || (!now.exited && !life_.is_killed())) return;
  const int left = processes_.count_others();
  now.others = left > 0;
  processes_.ask_owned_again(spec_.header->grace_ms);
  now.owned = processes_.owned > 0;
  if (!life_.is_all_gone(now)) return;
  const int kept = life_.keeps(now) ? left : 0;
  pass_on(kept);
  now.reader_behind = output_.stream.is_behind();
  apply(Event::processes, now, {.leftovers = kept});
}

// The inputs of the outcome, which are also in runner.lock.
Causes Run::causes() const {
  return {.is_agent = is_agent(),
          .decided = life_.cause,
          .has_reason = !durable_.reason.view().empty(),
          .exited = processes_.tree.has_command_ended(),
          .by_signal = durable_.facts.signal > 0,
          .value = durable_.facts.signal > 0 ? durable_.facts.signal : durable_.facts.exit_code,
          .out_of_memory = processes_.limits.ran_out_of_memory()};
}

void Run::settle(int leftovers) {
  Facts& facts = durable_.facts;
  deadlines_.disarm();
  if (leftovers > 0) {
    // The command's output is in the pipe by now; later bytes are those of the leftovers.
    pump(output_.pipe ? output_.waiting() : 0);
  } else {
    pump(INT64_MAX);
    // The zombie kept the pid from being reused. Now no process of the task is left to be signalled.
    if (processes_.tree.has_command_ended() && facts.pid > 0) sys::reap(facts.pid);
  }
  const Outcome outcome = outcome_of(causes());
  const bool by_itself = life_.cause == Cause::exit || life_.cause == Cause::exit_quietly;
  if (!by_itself || facts.ended_ms < 0) facts.ended_ms = sys::now_ms();
  if (leftovers == 0) output_.log.finish();
  if (spec_.header->sync_output != 0) output_.log.sync();

  facts.status = word_of(outcome.ending);
  if (!outcome.shows_exit) {
    facts.exit_code = -1;
    facts.signal = 0;
  }
  facts.timed_out_by_idle = outcome.by_idle;
  facts.quiet = outcome.is_quiet;
  if (outcome.reason != ReasonText::noted) durable_.reason.clear();
  if (outcome.reason == ReasonText::out_of_memory) write_out_of_memory(durable_.reason, spec_.header->memory_max);
  facts.reason = durable_.reason.view();
  facts.output_bytes = output_.log.stream_bytes();
  facts.dropped_bytes = output_.log.dropped_bytes();
  facts.dropped_at = output_.log.dropped_at();
  // Leftovers may exceed the budget after this record is final, so it says where dropped bytes would begin.
  facts.may_drop = leftovers > 0 && output_.log.truncates();
  facts.unstored_bytes = output_.log.unstored_bytes();
  facts.leftovers = leftovers;
  make_room();
  if (life_.is_foreground() && leftovers == 0) return end_in_foreground();
  commit();
}

void Run::commit() {
  int e = 0;
  Fd outbox;
  // A foreground task that leaves processes running gets a record: they could not be found without it
  // (docs/internals/runner.md).
  if (life_.is_foreground()) e = output_.log.link();
  if (!life_.is_foreground()) durable_.facts.ended_seq = next_seq(folders_.session.get());
  if (e == 0 && durable_.facts.detached && !durable_.facts.quiet)
    e = announce_end(folders_.session.get(), task_id_, outbox);
  if (e == 0) e = durable_.record.commit(durable_.facts, outbox.get());
  if (e < 0 && e != -ENOENT) {
    // runner.lock stays held and contains the decision: nothing is lost meanwhile, and no process reports the task as
    // lost.
    durable_.lock.note_refusal(-e);
    control_.tell(Control::awaits_end, kRefused);
    return apply(Event::commit_failed);
  }
  if (e < 0) return apply(Event::commit_hopeless);  // the decision remains in runner.lock
  if (durable_.facts.leftovers > 0) {
    durable_.leftover_lock = Fd(sys::open_at(folders_.task.get(), kLeftoverLock, O_RDWR | O_CREAT | O_NOFOLLOW));
    if (durable_.leftover_lock) sys::lock(durable_.leftover_lock.get(), false);
  }
  place_.queue.leave();
  const HookEvent event = hook_event_of(durable_.facts.status);
  if (durable_.facts.detached) hooks_.prepare(event);
  if (durable_.facts.leftovers == 0) durable_.active.end(task_id_);
  // The file is removed while the lock is held: a process that does not find it reads a final record.
  sys::unlink_at(folders_.task.get(), kRunnerLock);
  sys::unlink_at(folders_.task.get(), kStopWish);
  if (durable_.facts.leftovers == 0) control_.unlink(folders_.task.get());
  durable_.lock.release();
  control_.tell(Control::awaits_end, kEnded);
  control_.tell(Control::awaits_start, kStarted);
  tell_hooks(event);
  if (life_.is_foreground()) release_with_record();
  report_completed(spec_.telemetry, task_id_, durable_.facts);
  Seen now = seen();
  now.others = durable_.facts.leftovers > 0;
  apply(Event::committed, now, {});
}

// A foreground task reports its start when it is detached, and not at all if it never is (L42).
void Run::tell_hooks(HookEvent event) {
  if (durable_.facts.detached) processes_.tree.leave_out(hooks_.tell(event, durable_.facts));
}

void Run::finish() {
  pump(INT64_MAX);
  output_.log.finish();
  control_.unlink(folders_.task.get());
  if (durable_.facts.leftovers > 0) durable_.active.end(task_id_);
  sys::unlink_at(folders_.task.get(), kLeftoverLock);
  durable_.leftover_lock.reset();
  control_.tell(Control::awaits_end, kEnded);
  // Fails if the folder has a log.
  sys::unlink_at(folders_.tasks.get(), (Text<80>() << task_id_).c_str(), AT_REMOVEDIR);
}

}  // namespace runner
