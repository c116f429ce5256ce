#include "contract/outcome.h"

#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

namespace perdure::contract {
namespace {

struct Case {
  Causes causes;
  std::string name;
};

// Every combination: 2 kinds x 8 causes x reason x (not exited, 0, 3, signal 9) x memory = 256.
std::vector<Case> every_combination() {
  std::vector<Case> all;
  for (const bool agent : {false, true})
    for (const Cause cause : kAllCauses)
      for (const bool reason : {false, true})
        for (const int exit : {-1, 0, 3, 9})
          for (const bool memory : {false, true}) {
            Causes c{.is_agent = agent, .decided = cause, .has_reason = reason, .out_of_memory = memory};
            c.exited = exit >= 0;
            c.by_signal = exit == 9;
            c.value = exit < 0 ? 0 : exit;
            all.push_back({c, std::string(agent ? "agent " : "process ") + std::string(word_of(cause)) +
                                  (reason ? " reason" : "") + " exit " + std::to_string(exit) +
                                  (memory ? " memory" : "")});
          }
  return all;
}

// The same rules in another form: a list of rows, of which the first that fits counts.
Ending expected_ending(const Causes& c) {
  const bool is_exit = c.decided == Cause::exit || c.decided == Cause::exit_quietly;
  if (c.decided == Cause::deadline || c.decided == Cause::idle) return Ending::timed_out;
  if (c.decided == Cause::stop || c.decided == Cause::stop_quietly || c.decided == Cause::output) return Ending::killed;
  if (c.decided == Cause::none && !c.exited) return Ending::undecided;
  if (c.is_agent && c.decided == Cause::none) return Ending::failed;
  if (c.is_agent && is_exit) return c.has_reason ? Ending::failed : Ending::completed;
  return c.exited && !c.by_signal && c.value == 0 ? Ending::completed : Ending::failed;
}

TEST(Outcome, L55_EveryCombinationHasTheEndingOfTheRules) {
  const auto all = every_combination();
  EXPECT_EQ(all.size(), 256U);
  for (const auto& one : all) EXPECT_EQ(outcome_of(one.causes).ending, expected_ending(one.causes)) << one.name;
}

TEST(Outcome, L09_ADeadlineIsFinalWhateverElseWasNoted) {
  for (auto one : every_combination()) {
    one.causes.decided = Cause::deadline;
    EXPECT_EQ(outcome_of(one.causes).ending, Ending::timed_out) << one.name;
    EXPECT_EQ(outcome_of(one.causes).reason, ReasonText::none) << one.name;
  }
}

TEST(Outcome, L46_AReasonStandsExactlyWhereTheRuleWantsOne) {
  for (const auto& one : every_combination()) {
    const Causes& c = one.causes;
    const Outcome outcome = outcome_of(c);
    const bool is_stop = c.decided == Cause::stop || c.decided == Cause::stop_quietly || c.decided == Cause::output;
    ReasonText expected = ReasonText::none;
    if (is_stop && c.has_reason) expected = ReasonText::noted;
    if (outcome.ending == Ending::failed && c.is_agent)
      expected = c.decided == Cause::none ? ReasonText::silent_driver : ReasonText::noted;
    if (outcome.ending == Ending::failed && !c.is_agent && c.out_of_memory) expected = ReasonText::out_of_memory;
    EXPECT_EQ(outcome.reason, expected) << one.name;
  }
}

TEST(Outcome, L17_OnlyACommandThatExitedShowsItsExit) {
  for (const auto& one : every_combination())
    EXPECT_EQ(outcome_of(one.causes).shows_exit, one.causes.exited && !one.causes.is_agent) << one.name;
}

TEST(Outcome, L45_AQuietCauseStaysQuiet) {
  for (const auto& one : every_combination()) {
    const bool quiet = one.causes.decided == Cause::stop_quietly || one.causes.decided == Cause::exit_quietly;
    EXPECT_EQ(outcome_of(one.causes).is_quiet, quiet) << one.name;
  }
}

TEST(Outcome, WordsOfCausesAreReadBack) {
  for (const Cause cause : kAllCauses)
    if (cause != Cause::none) {
      EXPECT_EQ(cause_of(word_of(cause)), cause);
    }
  EXPECT_EQ(cause_of("a word of a later version"), Cause::stop);
}

TEST(Outcome, ReasonsInWords) {
  std::ostringstream memory, driver, killed;
  write_out_of_memory(memory, 1024);
  write_silent_driver(driver, false, 3);
  write_silent_driver(killed, true, 9);
  EXPECT_EQ(memory.str(), "Out of memory (limit 1024 bytes)");
  EXPECT_EQ(driver.str(), "The driver of the subagent ended by itself, with exit code 3");
  EXPECT_EQ(killed.str(), "The driver of the subagent ended by signal 9");
}

}  // namespace
}  // namespace perdure::contract
