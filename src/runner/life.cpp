#include "runner/life.h"

namespace runner {
namespace {

using enum State;

Cause cause_of(Event event) {
  switch (event) {
    case Event::stop_quietly: return Cause::stop_quietly;
    case Event::idle: return Cause::idle;
    case Event::output: return Cause::output;
    case Event::deadline:
    case Event::timer: return Cause::deadline;
    default: return Cause::stop;
  }
}

Step go(const Life& life, State state, Actions actions = {}) {
  return {{state, life.cause, life.caller}, actions};
}
Step go(const Life& life, State state, Cause cause, Actions actions) {
  return {{state, cause, life.caller}, actions};
}
Step stay(const Life& life, Actions actions = {}) {
  return {life, actions};
}

// The first cause decides. The command is signalled before the runners below are asked, which may take a second to
// answer. If it is killed at once, they are asked first: else the tasks that it owns would not be waited for.
Step decided(const Life& life, Event event, const Seen& seen) {
  if (seen.at_once) return go(life, killing, cause_of(event), Action::decide | Action::ask_owned | Action::kill);
  return go(life, terminating, cause_of(event), Action::decide | Action::terminate | Action::ask_owned | Action::look);
}

Step on_exit(const Life& life, const Seen& seen) {
  switch (life.state) {
    case running: {
      if (seen.restarts && seen.at_once) return go(life, purging, Action::kill);
      if (seen.restarts) return go(life, renewing, Action::end_attempt);
      const Actions silent = seen.is_agent ? Actions(Action::say_silent) : Actions();
      if (seen.policy == SpecLeftovers::wait) return go(life, lingering, silent | Action::end_others);
      return go(life, trailing, Cause::exit, silent | Action::note_exit | Action::disarm | Action::end_others);
    }
    case leaving: return go(life, trailing, Action::follow);
    case terminating: return stay(life, seen.is_agent ? Actions(Action::follow) : Actions());
    default: return stay(life);
  }
}

Step on_turn(const Life& life, Event event, const Seen& seen) {
  if (!seen.is_agent || seen.exited) return stay(life);
  if (life.is(running)) return go(life, leaving, Cause::exit, Action::note_turn | Action::arm_leave);
  if (!life.is(terminating) || !life.is_stopping() || event == Event::turn_broke) return stay(life);
  return go(life, terminating, life.cause == Cause::stop_quietly ? Cause::exit_quietly : Cause::exit,
            Action::note_turn);
}

Step on_stop(const Life& life, Event event, const Seen& seen) {
  switch (life.state) {
    case parked: return go(life, settled, cause_of(event), Action::decide | Action::end_parked);
    case running:
    case lingering:
    case renewing:
    case purging:
    case resting: return decided(life, event, seen);
    case leaving:
    case trailing:
    case sweeping: return stay(life, seen.reader_behind ? Action::drop_reader | Action::look : Actions());
    case terminating: return seen.at_once ? go(life, killing, Action::kill) : stay(life);
    default: return stay(life);
  }
}

Step on_timer(const Life& life, const Seen& seen) {
  const Actions drop = seen.reader_behind ? Actions(Action::drop_reader) : Actions();
  switch (life.state) {
    case parked: return stay(life, Action::try_to_start);
    case running:
      if (life.is_foreground() && seen.detaches) return stay(life, Action::detach_late);
      return decided(life, Event::timer, seen);
    case lingering: return decided(life, Event::timer, seen);
    case leaving:
    case trailing:
    case sweeping: return go(life, sweeping, Action::kill);
    case terminating: return go(life, killing, (seen.exited ? drop : Actions()) | Action::kill);
    case killing:
    case flushing: return stay(life, drop | Action::kill);
    case settled: return stay(life, Action::commit);
    case leftovers:
    case clearing: return go(life, clearing, Action::kill);
    case renewing:
    case purging: return go(life, purging, Action::kill);
    case resting: return stay(life, Action::restart);
    default: return stay(life);
  }
}

Step on_sigterm(const Life& life) {
  if (life.is(leftovers)) return go(life, clearing, Action::kill);
  const bool can_hear =
      life.is(parked) || life.waits_for_processes() || life.is(running) || life.is(leaving) || life.is(resting);
  return stay(life, can_hear ? Actions(Action::read_wish) : Actions());
}

Step on_processes(const Life& life, const Seen& seen) {
  if (life.is(clearing) || (life.is(leftovers) && !seen.others)) return go(life, over, Action::finish);
  if (!life.is_all_gone(seen)) return stay(life);
  if (life.is_between()) return go(life, resting, Action::rest);
  if (seen.reader_behind) return life.is(killing) ? go(life, flushing, Action::arm_reader) : stay(life);
  if (life.is(lingering)) return go(life, settled, Cause::exit, Action::note_late_exit | Action::settle);
  return go(life, settled, Action::settle);
}

Step on_caller_left(const Life& life) {
  if (life.caller != Caller::waits || life.is(over)) return stay(life);
  return {{life.state, life.cause, Caller::left}, Action::detach};
}

}  // namespace

Step next(const Life& life, Event event, const Seen& seen) {
  switch (event) {
    case Event::queued: return life.is(launching) ? go(life, parked) : stay(life);
    case Event::started:
      return life.is(launching) || life.is(parked) || life.is(resting) ? go(life, running) : stay(life);
    case Event::start_failed:
      if (life.is(resting)) return go(life, trailing, Cause::exit, Action::note_exit | Action::disarm | Action::look);
      return life.is(parked) ? go(life, settled, Cause::stop, Action::end_parked) : stay(life);
    case Event::yielded: return life.is(parked) ? go(life, over) : stay(life);
    case Event::command_exited: return on_exit(life, seen);
    case Event::turn_ended:
    case Event::turn_broke: return on_turn(life, event, seen);
    case Event::stop:
    case Event::stop_quietly: return on_stop(life, event, seen);
    case Event::deadline:
      if (life.is(parked)) return on_stop(life, Event::stop, seen);  // no command ran that could be late
      return life.is_open() || life.is_between() ? decided(life, event, seen) : stay(life);
    case Event::idle: return life.is_open() ? decided(life, event, seen) : stay(life);
    case Event::output: return life.is(running) ? decided(life, event, seen) : stay(life);
    case Event::timer: return on_timer(life, seen);
    case Event::sigterm: return on_sigterm(life);
    case Event::processes: return on_processes(life, seen);
    case Event::end_leftovers:
      if (!life.is(leftovers)) return stay(life);
      return seen.at_once ? go(life, clearing, Action::kill) : stay(life, Action::terminate);
    case Event::unrecorded: return life.is(settled) ? Step{{over, life.cause, Caller::none}, {}} : stay(life);
    case Event::committed:
      if (!life.is(settled)) return stay(life);
      return seen.others ? go(life, leftovers, Action::look) : go(life, over, Action::finish);
    case Event::commit_failed: return life.is(settled) ? stay(life, Action::arm_retry) : stay(life);
    case Event::commit_hopeless: return life.is(settled) ? go(life, over) : stay(life);
    case Event::caller_left: return on_caller_left(life);
    case Event::detached: return {{life.state, life.cause, Caller::none}, {}};
  }
  return stay(life);
}

}  // namespace runner
