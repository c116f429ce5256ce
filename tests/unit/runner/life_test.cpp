#include "runner/life.h"

#include <gtest/gtest.h>

#include <initializer_list>
#include <string>

namespace runner {
namespace {

using enum State;
using E = Event;
using A = Action;
constexpr auto kKeep = SpecLeftovers::keep, kWait = SpecLeftovers::wait;
constexpr Actions kNothing;
constexpr Actions kEndGently = A::decide | A::terminate | A::ask_owned | A::look;
constexpr Actions kEndAtOnce = A::decide | A::ask_owned | A::kill;

// Where a row says nothing of it: `same` cause, `same` caller.
constexpr int kSame = -1;
constexpr int as(Cause cause) {
  return static_cast<int>(cause);
}

using When = bool (*)(const Life& life, const Seen& seen);

struct Row {
  std::initializer_list<State> from;
  Event event;
  When when;  // nullptr: always
  int to;     // a State, or kSame
  int cause;  // a Cause, or kSame
  Actions actions;
  const char* rule;
};

constexpr int to(State state) {
  return static_cast<int>(state);
}

bool at_once(const Life& /*life*/, const Seen& s) {
  return s.at_once;
}
bool with_grace(const Life& /*life*/, const Seen& s) {
  return !s.at_once;
}
bool of_agent(const Life& /*life*/, const Seen& s) {
  return s.is_agent;
}
bool of_live_agent(const Life& /*life*/, const Seen& s) {
  return s.is_agent && !s.exited;
}
bool reader_behind(const Life& /*life*/, const Seen& s) {
  return s.reader_behind;
}
bool detaches(const Life& l, const Seen& s) {
  return l.caller != Caller::none && s.detaches;
}
bool nobody_left(const Life& /*life*/, const Seen& s) {
  return !s.others;
}
bool somebody_left(const Life& /*life*/, const Seen& s) {
  return s.others;
}
// The command is gone, with all that was below it and all that it owned, and the reader has everything.
bool all_gone(const Life& /*life*/, const Seen& s) {
  return s.exited && !s.owned && !s.others && !s.reader_behind;
}
// After SIGKILL those that are left count no more.
bool killed_and_read(const Life& /*life*/, const Seen& s) {
  return !s.owned && !s.reader_behind;
}
bool killed_but_unread(const Life& /*life*/, const Seen& s) {
  return !s.owned && s.reader_behind;
}

// Every change there is. Of the rows of one state and event the first that applies counts; where none does, the event is
// ignored there.
const Row kTable[] = {
    {{launching}, E::queued, nullptr, to(parked), kSame, kNothing, "L05"},
    {{launching, parked, resting}, E::started, nullptr, to(running), kSame, kNothing, "L05"},
    {{parked}, E::start_failed, nullptr, to(settled), as(Cause::stop), A::end_parked, "L46"},
    {{parked}, E::timer, nullptr, kSame, kSame, A::try_to_start, "L05"},
    {{parked}, E::yielded, nullptr, to(over), kSame, kNothing, "L05"},

    // A command that is restarted.
    {{running},
     E::command_exited,
     [](const Life&, const Seen& s) { return s.restarts && s.at_once; },
     to(purging),
     kSame,
     A::kill,
     "I30"},
    {{running},
     E::command_exited,
     [](const Life&, const Seen& s) { return s.restarts; },
     to(renewing),
     kSame,
     A::end_attempt,
     "I30"},
    {{renewing, purging}, E::timer, nullptr, to(purging), kSame, A::kill, "I30"},
    {{renewing},
     E::processes,
     [](const Life&, const Seen& s) { return s.exited && !s.owned && !s.others; },
     to(resting),
     kSame,
     A::rest,
     "I30"},
    {{purging}, E::processes, [](const Life&, const Seen& s) { return !s.owned; }, to(resting), kSame, A::rest, "I30"},
    {{resting}, E::timer, nullptr, kSame, kSame, A::restart, "I30"},
    {{resting}, E::start_failed, nullptr, to(trailing), as(Cause::exit), A::note_exit | A::disarm | A::look, "I30"},
    {{parked}, E::stop, nullptr, to(settled), as(Cause::stop), A::decide | A::end_parked, "L12"},
    {{parked}, E::stop_quietly, nullptr, to(settled), as(Cause::stop_quietly), A::decide | A::end_parked, "L45"},
    {{parked}, E::deadline, nullptr, to(settled), as(Cause::stop), A::decide | A::end_parked, "L05"},

    // The command's own end.
    {{running},
     E::command_exited,
     [](const Life&, const Seen& s) { return s.policy == kWait && s.is_agent; },
     to(lingering),
     kSame,
     A::say_silent | A::end_others,
     "L14"},
    {{running},
     E::command_exited,
     [](const Life&, const Seen& s) { return s.policy == kWait; },
     to(lingering),
     kSame,
     A::end_others,
     "L57"},
    {{running},
     E::command_exited,
     of_agent,
     to(trailing),
     as(Cause::exit),
     A::say_silent | A::note_exit | A::disarm | A::end_others,
     "L14"},
    {{running},
     E::command_exited,
     nullptr,
     to(trailing),
     as(Cause::exit),
     A::note_exit | A::disarm | A::end_others,
     "L17"},
    {{leaving}, E::command_exited, nullptr, to(trailing), kSame, A::follow, "L30"},
    {{terminating}, E::command_exited, of_agent, kSame, kSame, A::follow, "L30"},

    // A subagent's turn.
    {{running}, E::turn_ended, of_live_agent, to(leaving), as(Cause::exit), A::note_turn | A::arm_leave, "L14"},
    {{running}, E::turn_broke, of_live_agent, to(leaving), as(Cause::exit), A::note_turn | A::arm_leave, "L14"},
    {{terminating},
     E::turn_ended,
     [](const Life& l, const Seen& s) { return of_live_agent(l, s) && l.cause == Cause::stop; },
     kSame,
     as(Cause::exit),
     A::note_turn,
     "L14"},
    {{terminating},
     E::turn_ended,
     [](const Life& l, const Seen& s) { return of_live_agent(l, s) && l.cause == Cause::stop_quietly; },
     kSame,
     as(Cause::exit_quietly),
     A::note_turn,
     "L14 L45"},

    // Stops. The first decides; a later one only hurries.
    {{running, lingering, renewing, purging, resting},
     E::stop,
     at_once,
     to(killing),
     as(Cause::stop),
     kEndAtOnce,
     "L12"},
    {{running, lingering, renewing, purging, resting},
     E::stop,
     with_grace,
     to(terminating),
     as(Cause::stop),
     kEndGently,
     "L12"},
    {{running, lingering, renewing, purging, resting},
     E::stop_quietly,
     at_once,
     to(killing),
     as(Cause::stop_quietly),
     kEndAtOnce,
     "L45"},
    {{running, lingering, renewing, purging, resting},
     E::stop_quietly,
     with_grace,
     to(terminating),
     as(Cause::stop_quietly),
     kEndGently,
     "L45"},
    {{leaving, trailing, sweeping}, E::stop, reader_behind, kSame, kSame, A::drop_reader | A::look, "L13"},
    {{leaving, trailing, sweeping}, E::stop_quietly, reader_behind, kSame, kSame, A::drop_reader | A::look, "L13"},
    {{terminating}, E::stop, at_once, to(killing), kSame, A::kill, "L12"},
    {{terminating}, E::stop_quietly, at_once, to(killing), kSame, A::kill, "L12"},
    {{parked, running, leaving, lingering, trailing, sweeping, terminating, killing, flushing, renewing, purging,
      resting},
     E::sigterm,
     nullptr,
     kSame,
     kSame,
     A::read_wish,
     "L53"},
    {{leftovers}, E::sigterm, nullptr, to(clearing), kSame, A::kill, "L57"},

    // Deadlines and budgets.
    {{running, lingering, renewing, purging, resting},
     E::deadline,
     at_once,
     to(killing),
     as(Cause::deadline),
     kEndAtOnce,
     "L09"},
    {{running, lingering, renewing, purging, resting},
     E::deadline,
     with_grace,
     to(terminating),
     as(Cause::deadline),
     kEndGently,
     "L09"},
    {{running, lingering}, E::idle, at_once, to(killing), as(Cause::idle), kEndAtOnce, "L09"},
    {{running, lingering}, E::idle, with_grace, to(terminating), as(Cause::idle), kEndGently, "L09"},
    {{running}, E::output, at_once, to(killing), as(Cause::output), kEndAtOnce, "L24"},
    {{running}, E::output, with_grace, to(terminating), as(Cause::output), kEndGently, "L24"},
    {{running}, E::timer, detaches, kSame, kSame, A::detach_late, "L10"},
    {{running, lingering}, E::timer, at_once, to(killing), as(Cause::deadline), kEndAtOnce, "L08"},
    {{running, lingering}, E::timer, with_grace, to(terminating), as(Cause::deadline), kEndGently, "L08"},
    {{leaving, trailing, sweeping}, E::timer, nullptr, to(sweeping), kSame, A::kill, "L12"},
    {{terminating},
     E::timer,
     [](const Life&, const Seen& s) { return s.exited && s.reader_behind; },
     to(killing),
     kSame,
     A::drop_reader | A::kill,
     "L12"},
    {{terminating}, E::timer, nullptr, to(killing), kSame, A::kill, "L12"},
    {{killing, flushing}, E::timer, reader_behind, kSame, kSame, A::drop_reader | A::kill, "L12"},
    {{killing, flushing}, E::timer, nullptr, kSame, kSame, A::kill, "L12"},
    {{settled}, E::timer, nullptr, kSame, kSame, A::commit, "L25"},
    {{leftovers, clearing}, E::timer, nullptr, to(clearing), kSame, A::kill, "L57"},

    // Nothing lives that the record has to wait for.
    {{lingering}, E::processes, all_gone, to(settled), as(Cause::exit), A::note_late_exit | A::settle, "L30 L40"},
    {{trailing},
     E::processes,
     [](const Life&, const Seen& s) { return s.policy == kKeep && s.exited && !s.owned && !s.reader_behind; },
     to(settled),
     kSame,
     A::settle,
     "L40 L57"},
    {{trailing, terminating}, E::processes, all_gone, to(settled), kSame, A::settle, "L30 L40"},
    {{sweeping, killing, flushing}, E::processes, killed_and_read, to(settled), kSame, A::settle, "L30 L40"},
    {{killing}, E::processes, killed_but_unread, to(flushing), kSame, A::arm_reader, "L12"},
    {{leftovers}, E::processes, nobody_left, to(over), kSame, A::finish, "L57"},
    {{clearing}, E::processes, nullptr, to(over), kSame, A::finish, "L57"},
    {{leftovers}, E::end_leftovers, at_once, to(clearing), kSame, A::kill, "L57"},
    {{leftovers}, E::end_leftovers, with_grace, kSame, kSame, A::terminate, "L57"},

    // The record.
    {{settled}, E::committed, somebody_left, to(leftovers), kSame, A::look, "L57"},
    {{settled}, E::committed, nobody_left, to(over), kSame, A::finish, "L18"},
    {{settled}, E::commit_failed, nullptr, kSame, kSame, A::arm_retry, "L25"},
    {{settled}, E::commit_hopeless, nullptr, to(over), kSame, kNothing, "L25"},
    {{settled}, E::unrecorded, nullptr, to(over), kSame, kNothing, "L42"},
};

const Row* row_for(const Life& life, Event event, const Seen& seen) {
  for (const Row& row : kTable) {
    if (row.event != event || (row.when != nullptr && !row.when(life, seen))) continue;
    for (const State from : row.from)
      if (from == life.state) return &row;
  }
  return nullptr;
}

template <class F>
void each_seen(F&& visit) {
  for (unsigned bits = 0; bits < 256; ++bits)
    for (const SpecLeftovers policy : {SpecLeftovers::keep, SpecLeftovers::kill, SpecLeftovers::wait})
      visit(Seen{.is_agent = (bits & 1) != 0,
                 .policy = policy,
                 .detaches = (bits & 2) != 0,
                 .at_once = (bits & 4) != 0,
                 .exited = (bits & 8) != 0,
                 .restarts = (bits & 128) != 0,
                 .others = (bits & 16) != 0,
                 .owned = (bits & 32) != 0,
                 .reader_behind = (bits & 64) != 0});
}

template <class F>
void each_life(F&& visit) {
  for (int state = 0; state < kStates; ++state)
    for (const Cause cause : perdure::contract::kAllCauses)
      for (const Caller caller : {Caller::none, Caller::waits, Caller::left})
        visit(Life{.state = static_cast<State>(state), .cause = cause, .caller = caller});
}

std::string told(const Life& life, Event event, const Seen& seen, const Row* row) {
  return "state " + std::to_string(static_cast<int>(life.state)) + " event " + std::to_string(static_cast<int>(event)) +
         " cause " + std::string(word_of(life.cause)) + " caller " + std::to_string(static_cast<int>(life.caller)) +
         " policy " + std::to_string(static_cast<int>(seen.policy)) + (seen.is_agent ? " agent" : "") +
         (seen.detaches ? " detaches" : "") + (seen.at_once ? " at once" : "") + (seen.exited ? " exited" : "") +
         (seen.restarts ? " restarts" : "") + (seen.others ? " others" : "") + (seen.owned ? " owned" : "") +
         (seen.reader_behind ? " behind" : "") +
         (row != nullptr ? std::string(", by the row of ") + row->rule : ", which is ignored");
}

// 17 states x 22 events x 8 causes x 3 callers x 768 kinds of what was seen.
TEST(Life, EveryStateWithEveryEventIsAsTheTableSays) {
  long tried = 0, wrong = 0;
  each_life([&](const Life& life) {
    for (int number = 0; number < kEvents; ++number) {
      const auto event = static_cast<Event>(number);
      if (event == E::caller_left || event == E::detached) continue;  // the caller's own table, below
      each_seen([&](const Seen& seen) {
        const Row* const row = row_for(life, event, seen);
        Life expected = life;
        if (row != nullptr && row->to != kSame) expected.state = static_cast<State>(row->to);
        if (row != nullptr && row->cause != kSame) expected.cause = static_cast<Cause>(row->cause);
        if (row != nullptr && event == E::unrecorded) expected.caller = Caller::none;
        const Step step = next(life, event, seen);
        ++tried;
        if (step.next == expected && step.actions == (row != nullptr ? row->actions : kNothing)) return;
        if (++wrong <= 10) ADD_FAILURE() << told(life, event, seen, row);
      });
    }
  });
  EXPECT_EQ(tried, long{kStates} * (kEvents - 2) * 8 * 3 * 768);
  EXPECT_EQ(wrong, 0);
}

TEST(Life, L44_TheCallerComesAndGoesInAnyState) {
  each_life([](const Life& life) {
    const Step left = next(life, E::caller_left, {});
    const bool counts = life.caller == Caller::waits && life.state != over;
    EXPECT_EQ(left.next.caller, counts ? Caller::left : life.caller);
    EXPECT_EQ(left.actions, counts ? Actions(A::detach) : kNothing);
    const Step detached = next(life, E::detached, {});
    EXPECT_EQ(detached.next.caller, Caller::none);
    EXPECT_EQ(detached.actions, kNothing);
    for (const Step& step : {left, detached}) {
      EXPECT_EQ(step.next.state, life.state);
      EXPECT_EQ(step.next.cause, life.cause);
    }
  });
}

// The rules again, each said of all steps at once, so that a wrong row of the table is found, too.
template <class F>
void each_step(F&& visit) {
  each_life([&](const Life& life) {
    for (int event = 0; event < kEvents; ++event)
      each_seen([&](const Seen& seen) {
        visit(life, static_cast<Event>(event), seen, next(life, static_cast<Event>(event), seen));
      });
  });
}

bool is_between(State state) {
  return state == renewing || state == purging || state == resting;
}

bool is_undecided(State state) {
  return state == launching || state == parked || state == running || state == lingering || is_between(state);
}

TEST(Life, L09_ADecisionIsFinalButForATurnThatEndsInTheGraceOfAStop) {
  long wrong = 0;
  each_step([&](const Life& life, Event event, const Seen& seen, const Step& step) {
    if (is_undecided(life.state) || step.next.cause == life.cause) return;
    const bool excepted = life.state == terminating && event == E::turn_ended && seen.is_agent && !seen.exited &&
                          (life.cause == Cause::stop || life.cause == Cause::stop_quietly);
    if (!excepted) ++wrong;
  });
  EXPECT_EQ(wrong, 0);
}

TEST(Life, L55_ACauseIsNotedInTheStepThatDecides) {
  long wrong = 0;
  each_step([&](const Life& life, Event /*event*/, const Seen& /*seen*/, const Step& step) {
    if (step.next.cause == life.cause) return;
    const auto& a = step.actions;
    const bool noted = a.has(A::decide) || a.has(A::note_exit) || a.has(A::note_late_exit) || a.has(A::note_turn);
    if (!noted && !a.has(A::end_parked)) ++wrong;  // a command that could not be started leaves no process to recover
  });
  EXPECT_EQ(wrong, 0);
}

TEST(Life, L30_L40_NothingIsSettledWhileTheCommandOrWhatItOwnsLives) {
  long wrong = 0;
  each_step([&](const Life& life, Event /*event*/, const Seen& seen, const Step& step) {
    if (!step.actions.has(A::settle)) return;
    const bool killed = life.state == sweeping || life.state == killing || life.state == flushing;
    if (seen.owned || (!killed && !seen.exited)) ++wrong;
    if (seen.others && !killed && !(life.state == trailing && seen.policy == kKeep)) ++wrong;
  });
  EXPECT_EQ(wrong, 0);
}

TEST(Life, NoStateIsLeftBehindwards) {
  long wrong = 0;
  each_step([&](const Life& life, Event /*event*/, const Seen& /*seen*/, const Step& step) {
    const bool restarts = is_between(life.state) || is_between(step.next.state);
    if (step.next.state < life.state && !restarts) ++wrong;
    if (is_between(life.state) && step.next.state < running) ++wrong;
    if (life.state == over && (step.actions != kNothing || step.next.state != over)) ++wrong;
    if (life.state >= settled && !is_between(life.state) && step.actions.has(A::settle)) ++wrong;
  });
  EXPECT_EQ(wrong, 0);
}

TEST(Life, EachRowOfTheTableApplies) {
  for (const Row& row : kTable) {
    bool applies = false;
    each_life([&](const Life& life) {
      if (applies) return;
      each_seen([&](const Seen& seen) { applies |= row_for(life, row.event, seen) == &row; });
    });
    EXPECT_TRUE(applies) << row.rule << " event " << static_cast<int>(row.event);
  }
}

TEST(Life, I30_AnAttemptThatOthersFollowDecidesNothing) {
  Life life{.state = running};
  Seen seen{.exited = true, .restarts = true, .others = true};
  life = next(life, E::command_exited, seen).next;
  EXPECT_EQ(life.state, renewing);
  EXPECT_EQ(next(life, E::processes, seen).next, life) << "what it left behind lives";
  seen.others = false;
  life = next(life, E::processes, seen).next;
  EXPECT_EQ(life.state, resting);
  EXPECT_EQ(life.cause, Cause::none);
  EXPECT_EQ(next(life, E::started, seen).next.state, running);
  life = next(life, E::stop, seen).next;
  EXPECT_EQ(life.cause, Cause::stop);
  EXPECT_EQ(next(life, E::processes, seen).next.state, settled);
}

TEST(Life, L14_AStopThenTheTurnThenTheDriver) {
  Life life{.state = running};
  const Seen agent{.is_agent = true, .policy = SpecLeftovers::kill};
  life = next(life, E::stop, agent).next;
  life = next(life, E::turn_ended, agent).next;
  EXPECT_EQ(life.cause, Cause::exit);
  Seen gone = agent;
  gone.exited = true;
  life = next(life, E::command_exited, gone).next;
  EXPECT_EQ(life.state, terminating);
  life = next(life, E::processes, gone).next;
  EXPECT_EQ(life.state, settled);
  EXPECT_EQ(life.cause, Cause::exit);
}

}  // namespace
}  // namespace runner
