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
constexpr int kMostAttempts = 600;
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
    const int n = sys::wait_events(epoll_.get(), events, 8, tries_again ? static_cast<int>(kRetryMs) : -1);
    control_.listen_again();
    try_again_to_detach();
    for (int i = 0; i < n && !life_.is(State::over); ++i) {
      const auto fd = static_cast<int>(events[i].data.u64 & 0xFFFFFFFFU);
      switch (static_cast<Source>(events[i].data.u64 >> 32)) {
        case Source::output: on_output(); break;
        case Source::signals: on_signals(); break;
        case Source::timer: on_timer(); break;
        case Source::idle: on_idle(); break;
        case Source::listener: control_.accept(epoll_.get(), tag(Source::client)); break;
        case Source::client: on_client(fd, events[i].events); break;
        case Source::caller: on_caller(); break;
        case Source::stream: on_stream(); break;
        case Source::awaited:
          if (life_.is(State::parked)) try_to_start();
          break;
      }
    }
  }
  limits_.remove();
}

// Reads what is there, at most `most` bytes: an orphan that writes for ever must not make the end wait.
// Returns how many were read. A foreground caller that is slow stops it, until it has caught up.
long Run::pump(long most) {
  static char buffer[kChunk];
  const long wanted = most;
  while (output_ && most > 0 && !stream_.is_behind()) {
    const long n = sys::read(output_.get(), buffer, static_cast<unsigned long>(most < kChunk ? most : kChunk));
    if (n == -EINTR) continue;
    if (n == -EAGAIN) break;
    if (n <= 0) {  // end of output: every writer is gone
      output_.reset();
      break;
    }
    most -= n;
    idle_.saw_output();
    if (!log_.append(buffer, static_cast<unsigned long>(n)) && life_.is(State::running)) {
      const auto why = Text<96>() << "Output limit of " << spec_.header->output_limit << " bytes exceeded";
      end(Event::output, why.view(), spec_.header->grace_ms);
    }
    stream_.give(buffer, static_cast<unsigned long>(n));
    if (stream_.is_behind()) {
      sys::unwatch(epoll_.get(), output_.get());
      sys::watch(epoll_.get(), stream_.fd(), tag(Source::stream), EPOLLOUT);
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
  while (sys::read(signals_.get(), &info, sizeof info) > 0) terminate |= info.ssi_signo == SIGTERM;
  look_at_children();
  if (terminate) apply(Event::sigterm);
}

// Called whenever a process may have gone.
void Run::look_at_children() {
  tree_.reap_adopted();
  siginfo_t how{};
  if (!tree_.has_command_ended() && sys::look_at_end(facts_.pid, how) == 0 && how.si_pid != 0) {
    tree_.command_ended();
    if (how.si_code == CLD_EXITED) {
      facts_.exit_code = how.si_status;
    } else {
      facts_.signal = how.si_status;
    }
    facts_.ended_ms = sys::now_ms();
    if (limits_.ran_out_of_memory()) lock_.note_out_of_memory();
    lock_.note_exit(facts_.exit_code, facts_.signal, facts_.ended_ms);
    // What it wrote it wrote before it ended, so an exceeded budget comes first.
    if (life_.is(State::running) && output_) pump(waiting_output());
    apply(Event::command_exited);
  }
  evaluate();
}

// The tasks that it owns are asked in any case; the policy says whether the rest is asked, too.
void Run::end_others() {
  if (!tree_.has_others()) return;
  const long grace = spec_.header->grace_ms;
  owned_ = tree_.stop_owned_tasks(grace);
  if (spec_.header->leftovers != SpecLeftovers::kill || tree_.count() == 0) return;
  if (grace > 0) return terminate_tree(grace);
  apply(Event::timer);  // the grace is over as it begins
}

Seen Run::seen() const {
  return {.is_agent = is_agent(),
          .policy = spec_.header->leftovers,
          .detaches = spec_.header->on_timeout == SpecOnTimeout::detach,
          .at_once = spec_.header->grace_ms <= 0,
          .exited = tree_.has_command_ended(),
          .reader_behind = stream_.is_behind()};
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
  if (actions.has(Action::note_late_exit)) facts_.ended_ms = sys::now_ms();
  if (actions.has(Action::note_exit) || actions.has(Action::note_late_exit))
    lock_.note_decision(Cause::exit, reason_.view(), facts_.ended_ms);
  if (actions.has(Action::note_turn)) note_turn(details.reason);
  if (actions.has(Action::disarm)) sys::arm(timer_.get(), 0);
  if (actions.has(Action::arm_leave))
    sys::arm(timer_.get(), spec_.header->grace_ms > kLeaveMs ? spec_.header->grace_ms : kLeaveMs);
  if (actions.has(Action::arm_reader)) sys::arm(timer_.get(), kReaderMs);
  if (actions.has(Action::arm_retry)) sys::arm(timer_.get(), kRetryMs);
  if (actions.has(Action::drop_reader)) drop_stream();
  if (actions.has(Action::terminate)) terminate_tree(details.grace_ms);
  if (actions.has(Action::ask_owned)) owned_ = tree_.stop_owned_tasks(details.grace_ms);
  if (actions.has(Action::end_others)) end_others();
  if (actions.has(Action::follow)) follow_driver();
  if (actions.has(Action::kill)) kill_tree();
  if (actions.has(Action::look)) look_at_children();
  if (actions.has(Action::read_wish)) end_as_wished();
  if (actions.has(Action::detach)) try_again_to_detach();
  if (actions.has(Action::detach_late)) detach_at_deadline();
  if (actions.has(Action::try_to_start)) try_to_start();
  if (actions.has(Action::end_parked)) {
    if (!actions.has(Action::decide)) reason_ << details.reason;
    end_parked();
  }
  if (actions.has(Action::settle)) settle(details.leftovers);
  if (actions.has(Action::commit)) commit();
  if (actions.has(Action::finish)) finish();
}

// Before it is acknowledged: what was acknowledged holds also if this process is killed right then (L55).
void Run::note_wish(Cause cause, std::string_view reason) {
  if (life_.is_open() || life_.is(State::parked)) lock_.note_decision(cause, reason, sys::now_ms());
}

// SIGTERM: a stop that could not reach the socket left what it asks for in the folder; without that it is a bare signal.
void Run::end_as_wished() {
  static char text[kMaxReasonBytes + 64];
  const Fd wish(sys::open_at(folder_.get(), kStopWish, O_RDONLY | O_NOFOLLOW));
  struct stat about{};
  long n = 0;
  if (wish && ::fstat(wish.get(), &about) == 0 && S_ISREG(about.st_mode)) n = sys::read(wish.get(), text, sizeof text);
  request::Stop wanted;
  if (n > 0 && request::parse_stop_wish({text, static_cast<unsigned long>(n)}, wanted))
    return end(event_of(wanted), wanted.reason, grace_of(wanted.grace_ms));
  if (inherited_.job_ends >= 0) return end_by_engine();
  const bool has_folder = ::fstat(folder_.get(), &about) == 0 && about.st_nlink > 0;
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
  if (facts_.status == "completed") return 0;
  if (facts_.status == "timed_out") return kTimedOut;
  if (facts_.status == "killed") return kKilled;
  if (facts_.signal > 0) return 128 + facts_.signal;
  return facts_.exit_code > 0 ? facts_.exit_code : 1;
}

void Run::end(Event why, std::string_view reason, long grace_ms) {
  Seen now = seen();
  now.at_once = grace_ms <= 0;
  apply(why, now, {.reason = reason, .grace_ms = grace_ms});
}

// Before anything is done about it: what comes later finds that this came first, also after a SIGKILL.
void Run::decide(std::string_view reason) {
  reason_ << reason;
  lock_.note_decision(life_.cause, reason, sys::now_ms());
}

void Run::terminate_tree(long grace_ms) {
  // The group at once, then whoever left it. A stopped process must run to hear of it. A subagent hears of it from its
  // driver, so that it can end its turn.
  const int group = life_.is(State::leftovers) ? 0 : facts_.pid;
  for (const int signal : {stop_signal(), SIGCONT}) {
    sys::kill_group(group, signal);
    if (!is_agent() || tree_.has_command_ended()) tree_.signal(signal, group);
  }
  sys::arm(timer_.get(), grace_ms);
}

void Run::kill_tree() {
  sys::arm(timer_.get(), 0);
  if (!life_.is(State::clearing)) sys::kill_group(facts_.pid, SIGKILL);
  facts_.survivor_count = tree_.kill_all(kKillPatienceMs);
  facts_.survivors = tree_.survivors();
  if (facts_.survivor_count > Tree::kMaxSurvivors) facts_.survivor_count = Tree::kMaxSurvivors;
  look_at_children();
}

void Run::on_timer() {
  std::uint64_t fired = 0;
  if (sys::read(timer_.get(), &fired, sizeof fired) < 0) return;
  const State armed_in = life_.state;
  if (life_.is_open() || life_.is(State::leaving)) look_at_children();  // an end before the deadline counts
  // A deadline that an exit came before is none any more, and what the timer was armed for since has not come yet.
  if (life_.state != armed_in && !life_.is_open()) return;
  apply(Event::timer, seen(), {.grace_ms = spec_.header->grace_ms});
}

// A terminal does not say how much is on its way; one look at it takes all that there is.
long Run::waiting_output() const {
  return stdio_.is_terminal() ? kReadsAtOnce * kChunk : sys::bytes_waiting(output_.get());
}

// Is the task over? Looks no further than the answer needs.
void Run::evaluate() {
  Seen now = seen();
  if (life_.has_ended()) {
    if (life_.is(State::over)) return;
    now.others = tree_.count() > 0;
    return apply(Event::processes, now, {});
  }
  if (!life_.waits_for_processes() || (!now.exited && !life_.is_killed())) return;
  const int left = tree_.has_others() ? tree_.count() : 0;
  now.others = left > 0;
  if (owned_ > 0) owned_ = tree_.stop_owned_tasks(spec_.header->grace_ms);
  now.owned = owned_ > 0;
  if (!life_.is_all_gone(now)) return;
  const int kept = life_.keeps(now) ? left : 0;
  pass_on(kept);
  now.reader_behind = stream_.is_behind();
  apply(Event::processes, now, {.leftovers = kept});
}

// What the outcome depends on, as it also stands in runner.lock.
Causes Run::causes() const {
  return {.is_agent = is_agent(),
          .decided = life_.cause,
          .has_reason = !reason_.view().empty(),
          .exited = tree_.has_command_ended(),
          .by_signal = facts_.signal > 0,
          .value = facts_.signal > 0 ? facts_.signal : facts_.exit_code,
          .out_of_memory = limits_.ran_out_of_memory()};
}

void Run::settle(int leftovers) {
  sys::arm(timer_.get(), 0);
  if (leftovers > 0) {
    // What the command wrote is in the pipe by now; what comes behind it is the leftovers' own.
    pump(output_ ? waiting_output() : 0);
  } else {
    pump(INT64_MAX);
    // The zombie kept the pid from being given to a stranger; now nothing is left that could be hit.
    if (tree_.has_command_ended()) sys::reap(facts_.pid);
  }
  const Outcome outcome = outcome_of(causes());
  const bool by_itself = life_.cause == Cause::exit || life_.cause == Cause::exit_quietly;
  if (!by_itself || facts_.ended_ms < 0) facts_.ended_ms = sys::now_ms();
  if (leftovers == 0) log_.finish();
  if (spec_.header->sync_output != 0) log_.sync();

  facts_.status = word_of(outcome.ending);
  if (!outcome.shows_exit) {
    facts_.exit_code = -1;
    facts_.signal = 0;
  }
  facts_.timed_out_by_idle = outcome.by_idle;
  facts_.quiet = outcome.is_quiet;
  if (outcome.reason != ReasonText::noted) reason_.clear();
  if (outcome.reason == ReasonText::out_of_memory) write_out_of_memory(reason_, spec_.header->memory_max);
  facts_.reason = reason_.view();
  facts_.output_bytes = log_.stream_bytes();
  facts_.dropped_bytes = log_.dropped_bytes();
  facts_.dropped_at = log_.dropped_at();
  // What the leftovers print later may exceed the budget, when this record can say so no more: readers need the place.
  facts_.may_drop = leftovers > 0 && log_.truncates();
  facts_.unstored_bytes = log_.unstored_bytes();
  facts_.leftovers = leftovers;
  make_room();
  if (life_.is_foreground() && leftovers == 0) return end_in_foreground();
  commit();
}

void Run::commit() {
  int e = 0;
  Fd outbox;
  // A foreground task that leaves processes behind gets a record, or nobody could find them (docs/internals/runner.md).
  if (life_.is_foreground()) e = log_.link();
  if (!life_.is_foreground()) facts_.ended_seq = next_seq(session_.get());
  if (e == 0 && facts_.detached && !facts_.quiet) e = announce_end(session_.get(), task_id_, outbox);
  if (e == 0) e = record_.commit(facts_, outbox.get());
  if (e < 0 && e != -ENOENT && ++commit_attempts_ < kMostAttempts) {
    // runner.lock stays held and has the decision in it: nothing is lost meanwhile, and nobody calls it lost.
    return apply(Event::commit_failed);
  }
  if (e < 0) return apply(Event::commit_hopeless);  // the decision in runner.lock is what is left
  if (facts_.leftovers > 0) {
    leftover_lock_ = Fd(sys::open_at(folder_.get(), kLeftoverLock, O_RDWR | O_CREAT | O_NOFOLLOW));
    if (leftover_lock_) sys::lock(leftover_lock_.get(), false);
  }
  queue_.leave();
  const HookEvent event = hook_event_of(facts_.status);
  if (facts_.detached) hooks_.prepare(event);
  if (facts_.leftovers == 0) active_.end(task_id_);
  // The name goes while the lock is still held: whoever finds no file reads a record that is final.
  sys::unlink_at(folder_.get(), kRunnerLock);
  sys::unlink_at(folder_.get(), kStopWish);
  if (facts_.leftovers == 0) control_.unlink(folder_.get());
  lock_.release();
  control_.tell(Control::awaits_end, kEnded);
  control_.tell(Control::awaits_start, kStarted);
  tell_hooks(event);
  if (life_.is_foreground()) release_with_record();
  report_completed(spec_.telemetry, task_id_, facts_);
  Seen now = seen();
  now.others = facts_.leftovers > 0;
  apply(Event::committed, now, {});
}

// A foreground task tells that it started when it is detached, and nothing if it never is (L42).
void Run::tell_hooks(HookEvent event) {
  if (facts_.detached) tree_.leave_out(hooks_.tell(event, facts_));
}

void Run::finish() {
  pump(INT64_MAX);
  log_.finish();
  control_.unlink(folder_.get());
  if (facts_.leftovers > 0) active_.end(task_id_);
  sys::unlink_at(folder_.get(), kLeftoverLock);
  leftover_lock_.reset();
  control_.tell(Control::awaits_end, kEnded);
  // Empty when the command printed nothing; anything in it keeps it.
  sys::unlink_at(tasks_.get(), (Text<80>() << task_id_).c_str(), AT_REMOVEDIR);
}

}  // namespace runner
