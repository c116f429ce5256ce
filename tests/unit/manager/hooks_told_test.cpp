// Hooks of a manager's configuration, told by real runners, where a task is more than started and ended.

#include "support/temp_folder.h"
#include <perdure/manager.h>

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <set>
#include <thread>

namespace perdure {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;

class HooksTold : public testing::Test {
 protected:
  testing_support::TempFolder temp;
  TaskManager manager = open(std::nullopt);

  TaskManager open(std::optional<int> cap) const {
    // Each event leaves a folder; making one is whole or not at all.
    return TaskManager::open({.session = temp.path() + "/session",
                              .runner = PERDURE_BIN_DIR "/perdure-runner",
                              .max_running_tasks = cap,
                              .hooks = {{.command = fmt::format("mkdir '{}/told-'$PERDURE_EVENT", temp.path())}}})
        .value();
  }
  [[nodiscard]] std::set<std::string> told() const {
    std::set<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(temp.path()))
      if (const std::string name = entry.path().filename().string(); name.starts_with("told-"))
        names.insert(name.substr(5));
    return names;
  }
  // Waits for the event: nobody tells of a hook's end.
  void await(const std::string& event) const {
    for (int i = 0; i < 6000 && !told().contains(event); ++i) std::this_thread::sleep_for(milliseconds(5));
    ASSERT_TRUE(told().contains(event)) << event;
  }
  void TearDown() override {
    const auto left = manager.list().value();
    for (const auto& task : left) static_cast<void>(manager.stop(task.id, {.grace = milliseconds(0)}));
  }
};

TEST_F(HooksTold, AMatcherThatIsEmptyIsToldOfTheStartAndOfTheEnd) {
  ASSERT_TRUE(manager.start({.shell_line = "exit 3"}));
  await("task.started");
  await("task.failed");
  EXPECT_EQ(told().size(), 2U);
}

TEST_F(HooksTold, L42_AForegroundTaskHasStartedWhenItIsDetached) {
  const auto task = manager.start({.shell_line = "sleep 100", .detached = false}).value();
  EXPECT_TRUE(told().empty());
  ASSERT_TRUE(manager.detach(task.id));
  await("task.started");
  ASSERT_TRUE(manager.stop(task.id, {.grace = milliseconds(0)}));
  await("task.killed");
  EXPECT_EQ(told().size(), 2U);
}

TEST_F(HooksTold, L42_OneThatIsNeverDetachedTellsNothing) {
  const auto task = manager.start({.shell_line = "exit 0", .detached = false}).value();
  ASSERT_EQ(manager.wait_for_release(task.id).value().how, Release::terminal);
  // A background task that is told of afterwards: by then the other one would have been, too.
  ASSERT_TRUE(manager.start({.shell_line = "exit 3"}));
  await("task.failed");
  await("task.started");
  EXPECT_EQ(told().size(), 2U);
}

TEST_F(HooksTold, L05_AQueuedTaskHasStartedWhenItsTurnComes) {
  auto capped = open(1);
  const auto first = capped.start({.shell_line = "sleep 100", .detached = true}).value();
  await("task.started");
  std::filesystem::remove(temp.path() + "/told-task.started");
  const auto second = capped.start({.shell_line = "exit 0", .queue = true}).value();
  EXPECT_EQ(second.status, Status::queued);
  EXPECT_TRUE(told().empty());
  ASSERT_TRUE(capped.stop(first.id, {.grace = milliseconds(0)}));
  for (const auto* event : {"task.completed", "task.killed", "task.started"}) await(event);
}

TEST_F(HooksTold, L05_OneThatIsStoppedInTheQueueHasEndedAndNeverStarted) {
  auto capped = open(1);
  const auto first = capped.start({.shell_line = "sleep 100"}).value();
  await("task.started");
  std::filesystem::remove(temp.path() + "/told-task.started");
  const auto second = capped.start({.shell_line = "exit 0", .queue = true}).value();
  ASSERT_EQ(capped.stop(second.id).value().status, Status::killed);
  await("task.killed");
  EXPECT_THAT(told(), ElementsAre("task.killed"));
}

}  // namespace
}  // namespace perdure
