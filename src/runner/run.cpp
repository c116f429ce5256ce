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
constexpr int kReadsAtOnce = 16;  // then others get their turn

}  // namespace

void Run::supervise() {
  if (phase_ == Phase::parked) try_to_start();
  look_at_children();  // an end before the signal was watched
  while (phase_ != Phase::over) {
    epoll_event events[8];
    // A machine out of descriptors, or with a full disk, tells nobody when it has some again.
    const bool tries_again = control_.is_paused() || wants_detach_;
    const int n = sys::wait_events(epoll_.get(), events, 8, tries_again ? static_cast<int>(kRetryMs) : -1);
    control_.listen_again();
    try_again_to_detach();
    for (int i = 0; i < n && phase_ != Phase::over; ++i) {
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
          if (phase_ == Phase::parked) try_to_start();
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
    if (!log_.append(buffer, static_cast<unsigned long>(n)) && phase_ == Phase::running) {
      const auto why = Text<96>() << "Output limit of " << spec_.header->output_limit << " bytes exceeded";
      end(Cause::output, why.view(), spec_.header->grace_ms);
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
  if (terminate && phase_ == Phase::leftovers) kill_tree();
  if (terminate) end_as_wished();
}

void Run::look_at_children() {
  tree_.reap_adopted();
  if (!exited_) {
    siginfo_t how{};
    if (sys::look_at_end(facts_.pid, how) == 0 && how.si_pid != 0) {
      exited_ = true;
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
      if (phase_ == Phase::running && output_) pump(waiting_output());
      if (phase_ == Phase::running) return on_natural_end();
      if (is_agent()) follow_driver();
    }
  }
  evaluate();
}

void Run::on_natural_end() {
  phase_ = Phase::trailing;
  if (is_agent()) on_silent_driver();
  if (spec_.header->leftovers != SpecLeftovers::wait) {
    cause_ = Cause::exit;
    lock_.note_decision(Cause::exit, reason_.view(), facts_.ended_ms);
    sys::arm(timer_.get(), 0);
  }
  if (tree_.has_others()) {
    waits_for_owned_ = tree_.stop_owned_tasks(spec_.header->grace_ms) > 0;
    if (spec_.header->leftovers == SpecLeftovers::kill && tree_.count() > 0) terminate_tree(spec_.header->grace_ms);
  }
  evaluate();
}

// Before it is acknowledged: what was acknowledged holds also if this process is killed right then (L55).
void Run::note_wish(Cause cause, std::string_view reason) {
  if (is_open() || phase_ == Phase::parked) lock_.note_decision(cause, reason, sys::now_ms());
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
    return end(wanted.cause, wanted.reason, grace_of(wanted.grace_ms));
  if (inherited_.job_ends >= 0) return end_by_engine();
  const bool has_folder = ::fstat(folder_.get(), &about) == 0 && about.st_nlink > 0;
  end(Cause::stop, has_folder ? "The runner was told to terminate" : "SIGTERM", spec_.header->grace_ms);
}

// In place only the engine sends a signal, and this moment is the only one at which it can be known why.
void Run::end_by_engine() {
  if (inherited_.job_ends > 0 && sys::now_ms() >= inherited_.job_ends * 1000)
    return end(Cause::deadline, "", spec_.header->grace_ms);
  end(Cause::stop, "Cancelled in Slurm", spec_.header->grace_ms);
}

int Run::exit_status() const {
  constexpr int kTimedOut = 124, kKilled = 143;
  if (facts_.status == "completed") return 0;
  if (facts_.status == "timed_out") return kTimedOut;
  if (facts_.status == "killed") return kKilled;
  if (facts_.signal > 0) return 128 + facts_.signal;
  return facts_.exit_code > 0 ? facts_.exit_code : 1;
}

// The first cause stands; a second stop can only shorten the grace.
void Run::end(Cause cause, std::string_view reason, long grace_ms) {
  if (phase_ == Phase::ending && grace_ms == 0 && !killed_) return kill_tree();
  if (phase_ == Phase::parked) {
    facts_.quiet = cause == Cause::stop_quietly;
    lock_.note_decision(cause, reason, sys::now_ms());
    return end_parked("killed", reason);
  }
  if (phase_ == Phase::trailing && cause_ == Cause::exit && stream_.is_behind()) {
    drop_stream();  // who asks for the end does not mind the slow reader that it waits for
    return evaluate();
  }
  if (!is_open()) return;
  cause_ = cause;
  reason_ << reason;
  lock_.note_decision(cause, reason, sys::now_ms());
  phase_ = Phase::ending;
  // The command hears of it first: runners below may take a second to answer. Where it is killed at once, they are asked
  // before, or nobody would wait for what it owns.
  if (grace_ms > 0) terminate_tree(grace_ms);
  waits_for_owned_ = tree_.stop_owned_tasks(grace_ms) > 0;
  if (grace_ms <= 0) terminate_tree(grace_ms);
  if (phase_ == Phase::ending) look_at_children();
}

void Run::terminate_tree(long grace_ms) {
  if (grace_ms <= 0) return kill_tree();
  // The group at once, then whoever left it. A stopped process must run to hear of it. A subagent hears of it from its
  // driver, so that it can end its turn.
  const int group = phase_ == Phase::leftovers ? 0 : facts_.pid;
  for (const int signal : {stop_signal(), SIGCONT}) {
    sys::kill_group(group, signal);
    if (!is_agent() || exited_) tree_.signal(signal, group);
  }
  sys::arm(timer_.get(), grace_ms);
}

void Run::kill_tree() {
  killed_ = true;
  sys::arm(timer_.get(), 0);
  if (phase_ != Phase::leftovers) sys::kill_group(facts_.pid, SIGKILL);
  facts_.survivor_count = tree_.kill_all(kKillPatienceMs);
  facts_.survivors = tree_.survivors();
  if (facts_.survivor_count > Tree::kMaxSurvivors) facts_.survivor_count = Tree::kMaxSurvivors;
  look_at_children();
}

void Run::on_timer() {
  std::uint64_t fired = 0;
  if (sys::read(timer_.get(), &fired, sizeof fired) < 0) return;
  if (phase_ == Phase::parked) return try_to_start();
  if (phase_ == Phase::settled) return commit();
  if (phase_ == Phase::running || phase_ == Phase::trailing) look_at_children();  // an end before the deadline counts
  if (phase_ == Phase::running && foreground_ && spec_.header->on_timeout == SpecOnTimeout::detach) {
    const std::int64_t timeout = spec_.header->detach_timeout_ms;
    if (detach(Released::by_deadline, timeout < 0 ? 0 : timeout) < 0) sys::arm(timer_.get(), kRetryMs);
    return;
  }
  if (is_open()) return end(Cause::deadline, "", spec_.header->grace_ms);
  if (phase_ == Phase::ending && stream_.is_behind() && (exited_ || killed_)) drop_stream();
  if (phase_ == Phase::ending || phase_ == Phase::trailing || phase_ == Phase::leftovers) kill_tree();
}

// A terminal does not say how much is on its way; one look at it takes all that there is.
long Run::waiting_output() const {
  return stdio_.is_terminal() ? kReadsAtOnce * kChunk : sys::bytes_waiting(output_.get());
}

// Is it over? Called whenever a process may have gone.
void Run::evaluate() {
  if (phase_ == Phase::leftovers) {
    if (tree_.count() == 0 || killed_) finish();
    return;
  }
  if (phase_ != Phase::trailing && phase_ != Phase::ending) return;
  if (!exited_ && !killed_) return;
  const int left = tree_.has_others() ? tree_.count() : 0;
  if (waits_for_owned_) {
    waits_for_owned_ = tree_.stop_owned_tasks(spec_.header->grace_ms) > 0;
    if (waits_for_owned_) return;
  }
  const bool keeps = phase_ == Phase::trailing && spec_.header->leftovers == SpecLeftovers::keep;
  if (left > 0 && !keeps && !killed_) return;
  if (!is_passed_on(keeps ? left : 0)) return;
  settle(keeps ? left : 0);
}

// What the outcome depends on, as it also stands in runner.lock.
Causes Run::causes() const {
  return {.is_agent = is_agent(),
          .decided = cause_,
          .has_reason = !reason_.view().empty(),
          .exited = exited_,
          .by_signal = facts_.signal > 0,
          .value = facts_.signal > 0 ? facts_.signal : facts_.exit_code,
          .out_of_memory = limits_.ran_out_of_memory()};
}

void Run::settle(int leftovers) {
  if (cause_ == Cause::none) {  // everything ended by itself, as the policy `wait` wants it
    cause_ = Cause::exit;
    facts_.ended_ms = sys::now_ms();
    lock_.note_decision(Cause::exit, "", facts_.ended_ms);
  }
  phase_ = Phase::settled;
  sys::arm(timer_.get(), 0);
  if (leftovers > 0) {
    // What the command wrote is in the pipe by now; what comes behind it is the leftovers' own.
    pump(output_ ? waiting_output() : 0);
  } else {
    pump(INT64_MAX);
    // The zombie kept the pid from being given to a stranger; now nothing is left that could be hit.
    if (exited_) sys::reap(facts_.pid);
  }
  const Outcome outcome = outcome_of(causes());
  const bool by_itself = cause_ == Cause::exit || cause_ == Cause::exit_quietly;
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
  if (foreground_ && leftovers == 0) return end_in_foreground();
  commit();
}

void Run::commit() {
  int e = 0;
  // A foreground task that leaves processes behind gets a record, or nobody could find them (docs/internals/runner.md).
  if (foreground_) e = log_.link();
  if (!foreground_) facts_.ended_seq = next_seq(session_.get());
  if (e == 0 && facts_.detached && !facts_.quiet) e = announce_end(session_.get(), task_id_);
  if (e == 0) e = record_.commit(facts_);
  if (e < 0 && e != -ENOENT && ++commit_attempts_ < kMostAttempts) {
    // runner.lock stays held and has the decision in it: nothing is lost meanwhile, and nobody calls it lost.
    sys::arm(timer_.get(), kRetryMs);
    return;
  }
  if (e < 0) {  // the session is gone, or its disk for good: the decision in runner.lock is what is left
    phase_ = Phase::over;
    return;
  }
  if (facts_.leftovers > 0) {
    leftover_lock_ = Fd(sys::open_at(folder_.get(), kLeftoverLock, O_RDWR | O_CREAT | O_NOFOLLOW));
    if (leftover_lock_) sys::lock(leftover_lock_.get(), false);
  }
  queue_.leave();
  const HookEvent event = hook_event_of(facts_.status);
  if (facts_.detached) hooks_.prepare(event);
  // The name goes while the lock is still held: whoever finds no file reads a record that is final.
  sys::unlink_at(folder_.get(), kRunnerLock);
  sys::unlink_at(folder_.get(), kStopWish);
  if (facts_.leftovers == 0) control_.unlink(folder_.get());
  lock_.release();
  control_.tell(Control::awaits_end, kEnded);
  control_.tell(Control::awaits_start, kStarted);
  tell_hooks(event);
  if (foreground_) release_with_record();
  report_completed(spec_.telemetry, task_id_, facts_);
  phase_ = facts_.leftovers > 0 ? Phase::leftovers : Phase::over;
  killed_ = false;
  if (phase_ == Phase::over) return finish();
  evaluate();
}

// A foreground task tells that it started when it is detached, and nothing if it never is (L42).
void Run::tell_hooks(HookEvent event) {
  if (facts_.detached) tree_.leave_out(hooks_.tell(event, facts_));
}

void Run::finish() {
  phase_ = Phase::over;
  pump(INT64_MAX);
  log_.finish();
  control_.unlink(folder_.get());
  sys::unlink_at(folder_.get(), kLeftoverLock);
  leftover_lock_.reset();
  control_.tell(Control::awaits_end, kEnded);
  // Empty when the command printed nothing; anything in it keeps it.
  sys::unlink_at(tasks_.get(), (Text<80>() << task_id_).c_str(), AT_REMOVEDIR);
}

}  // namespace runner
