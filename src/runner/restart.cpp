#include "runner/run.h"

// A command that is started again when it has ended (I30): one task, one log. Only an exit that no attempt follows is
// noted in runner.lock, so after a SIGKILL of this process in between the task is lost and not started again.
namespace runner {

using namespace perdure::contract;

namespace {

constexpr std::int64_t kLongestDelayMs = 60'000;
constexpr std::int64_t kHealthyMs = 10'000;  // an attempt that lived so long has the delay begin anew
constexpr std::int64_t kRetryMs = 1'000;     // where the disk or the system refused the next attempt
constexpr int kCannotRun = 126, kNotFound = 127;

std::int64_t monotonic_ms() {
  return sys::now_us(CLOCK_MONOTONIC) / 1000;
}

}  // namespace

// Called once the attempt was noted.
bool Run::restarts_after_exit() const {
  const Facts& facts = durable_.facts;
  if (!may_restart() || !life_.is(State::running)) return false;
  const bool exited = facts.signal == 0;
  if (exited && (facts.exit_code == kCannotRun || facts.exit_code == kNotFound)) return false;
  if (exited && facts.exit_code == 0 && spec_.header->restart == SpecRestart::on_failure) return false;
  const auto most = static_cast<std::int64_t>(spec_.header->restart_max);
  return most == 0 || facts.attempt_count <= most;
}

void Run::note_attempt() {
  Facts& facts = durable_.facts;
  facts.attempts[facts.attempt_count % Facts::kAttempts] = {.started_ms = restarts_.started_ms,
                                                            .ended_ms = facts.ended_ms,
                                                            .output_offset = restarts_.output_offset,
                                                            .exit_code = facts.exit_code,
                                                            .signal = facts.signal};
  ++facts.attempt_count;
}

// Nothing of an attempt outlives it, or two servers would fight for one port.
void Run::end_attempt() {
  deadlines_.disarm();
  if (processes_.tree.has_others()) {
    processes_.ask_owned(spec_.header->grace_ms);
    terminate_tree(spec_.header->grace_ms);
  }
  look_at_children();
}

void Run::rest() {
  Facts& facts = durable_.facts;
  deadlines_.disarm();
  deadlines_.idle.stop();
  if (output_.pipe) pump(output_.waiting());
  if (output_.pipe) loop_.unwatch(output_.pipe.get());
  output_.pipe.reset();
  sys::reap(facts.pid);  // with its zombie gone the pid may be anybody's
  facts.pid = 0;
  facts.survivor_count = 0;
  const std::int64_t first = spec_.header->restart_delay_ms;
  const std::int64_t most = first > kLongestDelayMs ? first : kLongestDelayMs;
  const bool was_healthy = facts.ended_ms - restarts_.started_ms >= kHealthyMs;
  restarts_.delay_ms = was_healthy || facts.attempt_count == 1 ? first : restarts_.delay_ms * 2;
  if (restarts_.delay_ms > most) restarts_.delay_ms = most;
  restarts_.rests_until_ms = monotonic_ms() + restarts_.delay_ms;
  // Best effort: where the disk refuses, the next record has it.
  if (durable_.record.commit(facts) == 0) durable_.record.reserve_next();
  arm_rest();
}

// The deadline spans all attempts; whichever comes first fires.
void Run::arm_rest() {
  long wait = restarts_.rests_until_ms - monotonic_ms();
  if (const long left = deadline_left_ms(); left >= 0 && left < wait) wait = left;
  deadlines_.arm(wait > 0 ? wait : 1);
}

// Below 0: there is none.
long Run::deadline_left_ms() const {
  const Facts& facts = durable_.facts;
  if (facts.timeout_ms <= 0) return -1;
  const std::int64_t from = facts.timeout_from_ms > 0 ? facts.timeout_from_ms : facts.started_ms;
  const std::int64_t left = from + facts.timeout_ms - sys::now_ms();
  return left > 0 ? left : 0;
}

void Run::restart() {
  Facts& facts = durable_.facts;
  const Facts before = facts;
  facts.exit_code = -1;
  facts.signal = 0;
  facts.ended_ms = -1;
  const char* doing = "";
  ExecFailure failure{};
  const int e = start_command(doing, failure);
  if (e == 0 && failure.error == 0) {
    apply(Event::started);
    durable_.record.reserve_next();
    return look_at_children();  // an end before this process knew the pid
  }
  processes_.tree.command_ended();
  if (e < 0) {
    if (output_.pipe) loop_.unwatch(output_.pipe.get());
    output_.pipe.reset();
    facts = before;
    restarts_.rests_until_ms = monotonic_ms() + kRetryMs;
    return arm_rest();
  }
  // It can't be run any more: that is an end as of a shell that does not find its command.
  facts.pid = 0;
  facts.exit_code = failure.error == ENOENT ? kNotFound : kCannotRun;
  facts.ended_ms = sys::now_ms();
  note_attempt();
  durable_.lock.note_exit(facts.exit_code, 0, facts.ended_ms);
  apply(Event::start_failed);
}

}  // namespace runner
