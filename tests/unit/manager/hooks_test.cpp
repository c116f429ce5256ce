#include "manager/notify/hooks.h"

#include "contract/hook_events.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

namespace perdure::manager {
namespace {

using namespace contract;
using std::chrono::seconds;

constexpr std::uint32_t kEnds = hook_completed | hook_failed | hook_timed_out | hook_killed | hook_lost;

std::uint32_t events_of(const std::string& matcher) {
  const auto planned = plan_hooks({{.command = "x", .matcher = matcher}}, {});
  return planned.empty() ? 0 : planned.front().events;
}

TEST(HookPlan, AMatcherIsLookedForInTheNameOfTheEvent) {
  const std::map<std::string, std::uint32_t> wanted = {{"", kEnds | hook_started},
                                                       {"task", kEnds | hook_started},
                                                       {"^task\\.started$", hook_started},
                                                       {"failed|lost", hook_failed | hook_lost},
                                                       {"task.(completed|timed_out)", hook_completed | hook_timed_out},
                                                       {"^(?!task.started).*", kEnds},
                                                       {"Killed", 0}};
  for (const auto& [matcher, events] : wanted) EXPECT_EQ(events_of(matcher), events) << matcher;
}

TEST(HookPlan, OnEndIsToldOfEveryEndAndNotOfTheStart) {
  const auto planned = plan_hooks({}, {"x"});
  ASSERT_EQ(planned.size(), 1U);
  EXPECT_EQ(planned[0].events, kEnds);
  EXPECT_EQ(planned[0].timeout, seconds(30));
}

TEST(HookPlan, EqualCommandsAreToldOnceWithTheTimeLimitOfTheFirst) {
  const auto planned = plan_hooks({{.command = "x", .matcher = "failed", .timeout = seconds(5)},
                                   {.command = "y"},
                                   {.command = "x", .matcher = "failed|lost", .timeout = seconds(7)}},
                                  {"x", "y"});
  std::vector<std::tuple<std::string, std::uint32_t, int>> found;
  for (const auto& hook : planned) found.emplace_back(hook.command, hook.events, hook.timeout.count());
  EXPECT_THAT(found, testing::ElementsAre(std::tuple("x", +hook_failed, 5), std::tuple("y", kEnds | hook_started, 30),
                                          std::tuple("x", +hook_lost, 7),
                                          std::tuple("x", hook_completed | hook_timed_out | hook_killed, 30)));
}

TEST(HookCheck, WhatIsWrongIsAnErrorThatNamesTheHook) {
  EXPECT_TRUE(check_hooks({{.command = "x", .matcher = "a|b", .timeout = seconds(600)}}));
  for (const Hook& wrong :
       {Hook{.command = ""}, Hook{.command = std::string("a\0b", 3)}, Hook{.command = "x", .matcher = "("},
        Hook{.command = "x", .matcher = "[z-a]"}, Hook{.command = "x", .timeout = seconds(0)},
        Hook{.command = "x", .timeout = seconds(601)}}) {
    const auto checked = check_hooks({wrong});
    ASSERT_FALSE(checked);
    EXPECT_EQ(checked.error().code, ErrorCode::config_invalid);
    const std::string named = wrong.command == "x" ? "'x'" : "no command";
    EXPECT_THAT(checked.error().message, testing::HasSubstr(named));
  }
}

}  // namespace
}  // namespace perdure::manager
