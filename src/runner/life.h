#pragma once

#include "contract/launch_spec.h"
#include "contract/outcome.h"

#include <cstdint>

// The life of one task, as a state machine. next() is a pure function: it needs no process, no file and no clock, so
// tests/unit/runner/life_test.cpp tries every state with every event. run.cpp raises the events and performs the
// actions.
//
// States, in the order in which a task passes them:
//
//   launching     nothing runs yet, the caller has no answer
//   parked        it waits for a slot, or for the end of another task
//   running       the command runs and nothing has decided
//   leaving       a subagent's turn has ended; its driver has to leave
//   lingering     the command exited; the policy is `wait`, and what it left behind runs. Nothing has decided
//   trailing      the command exited, which decided; what it left behind is ended, or kept and no longer waited for
//   sweeping      the same, or a driver that did not leave, after SIGKILL
//   terminating   a stop, the deadline, silence or the output budget decided; SIGTERM was sent and the grace runs
//   killing       the same, after SIGKILL
//   flushing      the same, nothing lives; the caller's reader gets a last moment
//   settled       nothing can change any more; the record is being committed
//   leftovers     committed; processes that outlived the command are looked after
//   clearing      the same, after SIGKILL
//   over          this process can leave
//
// With --restart (I30) an exit need not end the task:
//
//   renewing      an attempt has ended and another one follows; what it left behind is ended, SIGTERM was sent
//   purging       the same, after SIGKILL
//   resting       nothing of it lives; the delay before the next attempt
//
//   launching -> parked -> running -> trailing ------> settled -> leftovers -> over
//                             |  |       ^   `-> sweeping -^ `--------------------^
//                             |  `-> leaving, lingering ---|
//                             `----> terminating -> killing -> flushing
//
//   running -> renewing -> resting -> running, with purging between the first two; a stop or the deadline: terminating
//
// Beside the state stand two more values: the cause that decided, and whether a caller waits for the task. The caller
// is there or not in any state up to settled, and no state depends on it but for the deadline of a foreground task (L10).
//
// Who wins:
//   1. The first cause decides (L09, L14). The command's own exit is looked for before a stop and before a deadline
//      counts, so an exit that came first wins.
//   2. One exception: a subagent whose turn ended within the grace of a stop keeps that outcome, unless the turn broke,
//      which is an effect of the stop, or the decision was a deadline (L14).
//   3. After a decision a stop can only shorten the grace: with a grace of 0 it kills at once.
//   4. A task that ended by itself gives a slow reader all the time it needs, and a stop cuts that short. One that is
//      being ended gives it a moment after SIGKILL.
//   5. The record is committed when the command is gone, no task that it owned is left (L40), and no process of it is
//      left (L30), unless the policy `keep` applies or SIGKILL did not help.
//
// Every event that a state does not name is ignored there.
namespace runner {

using perdure::contract::Cause;
using perdure::contract::SpecLeftovers;

enum class State : unsigned char {
  launching,
  parked,
  running,
  leaving,
  lingering,
  trailing,
  sweeping,
  terminating,
  killing,
  flushing,
  settled,
  leftovers,
  clearing,
  renewing,
  purging,
  resting,
  over,
};
inline constexpr int kStates = static_cast<int>(State::over) + 1;

/// Of a foreground task (L02): the process that started it.
enum class Caller : unsigned char {
  none,   ///< the task runs in the background
  waits,  ///< it is connected
  left,   ///< it has disconnected; the task goes on in the background as soon as a record can be written
};

enum class Event : unsigned char {
  queued,           ///< it has a place in the queue
  started,          ///< the command runs
  start_failed,     ///< of a parked or resting task: the command could not be started
  command_exited,   ///< the command's own process has exited
  turn_ended,       ///< a driver reported that its turn completed or failed
  turn_broke,       ///< a driver reported that its turn broke off
  stop,             ///< a stop request
  stop_quietly,     ///< a stop request of the owner (L45)
  sigterm,          ///< this process received SIGTERM
  yielded,          ///< a manager changes the task in the queue, and will start another runner for it
  deadline,         ///< the batch engine's time limit; or the task's own deadline, between two attempts
  idle,             ///< no output for the length of the idle timeout
  output,           ///< the output limit is exceeded and its policy is to stop the task
  timer,            ///< the one timer expired; the state says what it was armed for
  processes,        ///< processes may have exited; all fields of Seen are set
  end_leftovers,    ///< a request to end the processes left running
  unrecorded,       ///< a foreground task's end was reported to its caller, and nothing is left on disk
  committed,        ///< the record was committed
  commit_failed,    ///< the commit is to be retried
  commit_hopeless,  ///< the session was removed, or its disk fails for good
  caller_left,
  detached,  ///< it is a background task now, or its caller has been notified of the end
};
inline constexpr int kEvents = static_cast<int>(Event::detached) + 1;

/// What the transition depends on besides the state: facts of the launch, and what was observed just now.
struct Seen {
  bool is_agent = false;
  SpecLeftovers policy = SpecLeftovers::keep;
  bool detaches = false;  ///< the deadline of a foreground task detaches it
  bool at_once = false;   ///< the grace of this event is 0
  bool exited = false;    ///< the command's own process has ended
  bool restarts = false;  ///< command_exited: another attempt follows
  // Set for Event::processes. For Event::committed, `others` is about the leftovers.
  bool others = false;         ///< processes of the task live besides the command
  bool owned = false;          ///< tasks that it owns have not ended
  bool reader_behind = false;  ///< the caller's reader has not read all of the output; set for stop and timer too
};

/// The actions, in the order in which they are performed.
enum class Action : std::uint32_t {
  say_silent = 1U << 0,      ///< set the reason: the driver exited without reporting the turn's outcome
  decide = 1U << 1,          ///< note the cause and its reason in runner.lock, before any other action
  note_exit = 1U << 2,       ///< note that the command's own exit decided
  note_late_exit = 1U << 3,  ///< the same, when the last leftover process has exited: that is the task's end
  note_turn = 1U << 4,       ///< note how the turn ended, replacing a noted stop
  disarm = 1U << 5,
  arm_leave = 1U << 6,     ///< time for a driver to exit
  arm_reader = 1U << 7,    ///< a moment for the caller's reader
  arm_retry = 1U << 8,     ///< until the next attempt to commit
  drop_reader = 1U << 9,   ///< the caller's reader gets no more output
  terminate = 1U << 10,    ///< SIGTERM, and arm the grace
  ask_owned = 1U << 11,    ///< ask the tasks that it owns to stop
  end_others = 1U << 12,   ///< ask the tasks that it owns; with the policy `kill`, SIGTERM for the rest
  follow = 1U << 13,       ///< end the processes of a subagent whose driver has exited (L30)
  kill = 1U << 14,         ///< SIGKILL for the process tree, then look
  look = 1U << 15,         ///< find out which processes have exited
  read_wish = 1U << 16,    ///< find out what a SIGTERM stands for
  detach = 1U << 17,       ///< with the timeout of the launch, since the caller left
  detach_late = 1U << 18,  ///< detach because the deadline came
  try_to_start = 1U << 19,
  end_parked = 1U << 20,   ///< the record of a task that never ran
  settle = 1U << 21,       ///< work out the outcome, then commit
  commit = 1U << 22,       ///< retry the commit
  finish = 1U << 23,       ///< remove the files that only a living runner needs
  end_attempt = 1U << 24,  ///< SIGTERM for the processes that an attempt left running, then look
  rest = 1U << 25,         ///< write the record of the attempt, and arm the delay
  restart = 1U << 26,      ///< start the next attempt
};

class Actions {
 public:
  constexpr Actions() = default;
  constexpr Actions(Action one) : bits_(static_cast<std::uint32_t>(one)) {}  // NOLINT(google-explicit-constructor)
  constexpr Actions operator|(Actions more) const {
    Actions both;
    both.bits_ = bits_ | more.bits_;
    return both;
  }
  [[nodiscard]] constexpr bool has(Action one) const { return (bits_ & static_cast<std::uint32_t>(one)) != 0; }
  constexpr bool operator==(const Actions&) const = default;

 private:
  std::uint32_t bits_ = 0;
};
constexpr Actions operator|(Action a, Action b) {
  return Actions(a) | Actions(b);
}

struct Life {
  State state = State::launching;
  Cause cause = Cause::none;
  Caller caller = Caller::none;
  constexpr bool operator==(const Life&) const = default;

  [[nodiscard]] constexpr bool is(State one) const { return state == one; }
  [[nodiscard]] constexpr bool is_foreground() const { return caller != Caller::none; }
  /// Can a stop, a deadline or silence still decide the outcome of a command?
  [[nodiscard]] constexpr bool is_open() const { return is(State::running) || is(State::lingering); }
  /// Between two attempts of a command that is restarted.
  [[nodiscard]] constexpr bool is_between() const {
    return is(State::renewing) || is(State::purging) || is(State::resting);
  }
  /// A cause other than the command's exit decided, and its record is not being committed yet.
  [[nodiscard]] constexpr bool is_being_ended() const {
    return is(State::terminating) || is(State::killing) || is(State::flushing);
  }
  [[nodiscard]] constexpr bool is_stopping() const {
    return is_being_ended() && (cause == Cause::stop || cause == Cause::stop_quietly);
  }
  /// SIGKILL was sent to the processes that have to be gone before the record says so.
  [[nodiscard]] constexpr bool is_killed() const {
    return is(State::sweeping) || is(State::killing) || is(State::flushing) || is(State::purging);
  }
  [[nodiscard]] constexpr bool has_ended() const {
    return is(State::leftovers) || is(State::clearing) || is(State::over);
  }
  /// Does Event::processes matter once the command has exited?
  [[nodiscard]] constexpr bool waits_for_processes() const {
    return is(State::lingering) || is(State::trailing) || is_killed() || is(State::terminating) || is(State::renewing);
  }
  /// Processes that the command left running are kept.
  [[nodiscard]] constexpr bool keeps(const Seen& seen) const {
    return is(State::trailing) && seen.policy == SpecLeftovers::keep;
  }
  /// Only the caller's reader keeps the record from being committed.
  [[nodiscard]] constexpr bool is_all_gone(const Seen& seen) const {
    return waits_for_processes() && (seen.exited || is_killed()) && !seen.owned &&
           (!seen.others || keeps(seen) || is_killed());
  }
};

struct Step {
  Life next;
  Actions actions;
};

/// Total: an event that a state does not name leaves the life unchanged and causes no action.
[[nodiscard]] Step next(const Life& life, Event event, const Seen& seen);

}  // namespace runner
