#include "runner/run.h"

#include "contract/control.h"
#include "contract/lock_page.h"
#include "contract/names.h"
#include "runner/record/outbox.h"
#include "runner/record/telemetry.h"

namespace runner {

using namespace perdure::contract;

namespace {

constexpr long kChunk = 65536;           // a pipe's whole content: plain reads of it beat splice (architecture.md)
constexpr long kKillPatienceMs = 5'000;  // for SIGKILL to take effect, before survivors are reported
constexpr long kRetryMs = 1'000;         // between attempts to commit to a disk that refuses
// For a driver to write the final message and to end the agent, once it said how its turn ended.
constexpr long kLeaveMs = 10'000;
constexpr long kReaderMs = 1'000;  // for a reader that does not read while its task is being ended
constexpr int kReadsAtOnce = 16;   // then others get their turn

}  // namespace

void Run::supervise() {
  if (life_.is(State::parked)) try_to_start();
  look_at_children();  // an end before the signal was watched
  while (!life_.is(State::over)) {
    epoll_event events[8];
    // A machine out of descriptors, or with a full disk, tells nobody when it has some again.
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

// Reads what is there, at most `most` bytes: an orphan that writes for ever must not make the end wait.
// Returns how many were read. A foreground caller that is slow stops it, until it has caught up.
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

// Called whenever a process may have gone.
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
    // What it wrote it wrote before it ended, so an exceeded budget comes first.
    if (life_.is(State::running) && output_.pipe) pump(output_.waiting());
    apply(Event::command_exited, now, {});
  }
  evaluate();
}

// The tasks that it owns are asked in any case; the policy says whether the rest is asked, too.
void Run::end_others() {
  if (!processes_.tree.has_others()) return;
  const long grace = spec_.header->grace_ms;
  processes_.ask_owned(grace);
  if (spec_.header->leftovers != SpecLeftovers::kill || processes_.tree.count() == 0) return;
  if (grace > 0) return terminate_tree(grace);
  apply(Event::timer);  // the grace is over as it begins
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

// In the order of the enumerators. An action may raise the next event, so nothing is done behind one that may end the
// task, but for looking.
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

// Before it is acknowledged: what was acknowledged holds also if this process is killed right then (L55).
void Run::note_wish(Cause cause, std::string_view reason) {
  if (life_.is_open() || life_.is(State::parked)) durable_.lock.note_decision(cause, reason, sys::now_ms());
}

// SIGTERM: a stop that could not reach the socket left what it asks for in the folder; without that it is a bare signal.
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

// In place only the engine sends a signal, and this moment is the only one at which it can be known why.
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

// Before anything is done about it: what comes later finds that this came first, also after a SIGKILL.
void Run::decide(std::string_view reason) {
  durable_.reason << reason;
  if (may_restart() && processes_.tree.has_command_ended())
    durable_.lock.note_exit(durable_.facts.exit_code, durable_.facts.signal, durable_.facts.ended_ms);
  durable_.lock.note_decision(life_.cause, reason, sys::now_ms());
}

void Run::terminate_tree(long grace_ms) {
  // The group at once, then whoever left it. A stopped process must run to hear of it. A subagent hears of it from its
  // driver, so that it can end its turn.
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
  if (life_.is_open() || life_.is(State::leaving)) look_at_children();  // an end before the deadline counts
  // A deadline that an exit came before is none any more, and what the timer was armed for since has not come yet.
  if (life_.state != armed_in && !life_.is_open()) return;
  apply(Event::timer, seen(), {.grace_ms = spec_.header->grace_ms});
}

void Run::on_idle() {
  on_output();                                                   // what is there was written in time
  if (output_.stream.is_behind()) deadlines_.idle.saw_output();  // a caller that does not read keeps the command silent
  const bool over = deadlines_.idle.is_over();
  if (over) look_at_children();  // an end before counts
  if (over) end(Event::idle, "", spec_.header->grace_ms);
  if (!life_.is_open()) deadlines_.idle.stop();
}

// Is the task over? Looks no further than the answer needs.
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

// What the outcome depends on, as it also stands in runner.lock.
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
    // What the command wrote is in the pipe by now; what comes behind it is the leftovers' own.
    pump(output_.pipe ? output_.waiting() : 0);
  } else {
    pump(INT64_MAX);
    // The zombie kept the pid from being given to a stranger; now nothing is left that could be hit.
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
  // What the leftovers print later may exceed the budget, when this record can say so no more: readers need the place.
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
  // A foreground task that leaves processes behind gets a record, or nobody could find them (docs/internals/runner.md).
  if (life_.is_foreground()) e = output_.log.link();
  if (!life_.is_foreground()) durable_.facts.ended_seq = next_seq(folders_.session.get());
  if (e == 0 && durable_.facts.detached && !durable_.facts.quiet)
    e = announce_end(folders_.session.get(), task_id_, outbox);
  if (e == 0) e = durable_.record.commit(durable_.facts, outbox.get());
  if (e < 0 && e != -ENOENT) {
    // runner.lock stays held and has the decision in it: nothing is lost meanwhile, and nobody calls it lost.
    durable_.lock.note_refusal(-e);
    control_.tell(Control::awaits_end, kRefused);
    return apply(Event::commit_failed);
  }
  if (e < 0) return apply(Event::commit_hopeless);  // the decision in runner.lock is what is left
  if (durable_.facts.leftovers > 0) {
    durable_.leftover_lock = Fd(sys::open_at(folders_.task.get(), kLeftoverLock, O_RDWR | O_CREAT | O_NOFOLLOW));
    if (durable_.leftover_lock) sys::lock(durable_.leftover_lock.get(), false);
  }
  place_.queue.leave();
  const HookEvent event = hook_event_of(durable_.facts.status);
  if (durable_.facts.detached) hooks_.prepare(event);
  if (durable_.facts.leftovers == 0) durable_.active.end(task_id_);
  // The name goes while the lock is still held: whoever finds no file reads a record that is final.
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

// A foreground task tells that it started when it is detached, and nothing if it never is (L42).
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
  // Empty when the command printed nothing; anything in it keeps it.
  sys::unlink_at(folders_.tasks.get(), (Text<80>() << task_id_).c_str(), AT_REMOVEDIR);
}

}  // namespace runner
