// One manager in many threads, with real runners: what TSan looks at, and what an embedding program relies on.

#include "support/temp_folder.h"
#include <perdure/manager.h>

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <cerrno>
#include <stop_token>
#include <thread>

namespace perdure {
namespace {

using std::chrono::milliseconds;

class Threads : public testing::Test {
 protected:
  testing_support::TempFolder temp;
  TaskManager manager =
      TaskManager::open({.session = temp.path() + "/session", .runner = PERDURE_BIN_DIR "/perdure-runner"}).value();

  void TearDown() override {
    const auto left = manager.list().value();
    for (const auto& task : left) static_cast<void>(manager.stop(task.id, {.grace = milliseconds(0)}));
  }

  template <class F>
  static void in_threads(int count, F&& work) {
    std::vector<std::jthread> threads;
    for (int i = 0; i < count; ++i) threads.emplace_back([&work, i] { work(i); });
  }
};

TEST_F(Threads, EightStartWaitReadAndRemoveAtOnce) {
  std::atomic<int> right{0};
  in_threads(8, [&](int i) {
    for (int k = 0; k < 5; ++k) {
      const auto task = manager.start({.shell_line = fmt::format("echo {} {}; exit {}", i, k, k)});
      if (!task) continue;
      const auto waited = manager.wait({.ids = {task->id}});
      if (!waited || waited->ended.size() != 1 || waited->ended.front().process.exit_code != k) continue;
      if (manager.read_output(task->id, 0, 100).value().bytes != fmt::format("{} {}\n", i, k)) continue;
      if (manager.list({.ended = true}) && manager.get(task->id)) ++right;
    }
  });
  EXPECT_EQ(right, 40);
}

TEST_F(Threads, StopWakesEveryThreadThatWaits) {
  const auto task = manager.start({.argv = {"sleep", "100"}}).value();
  std::atomic<int> killed{0};
  in_threads(6, [&](int i) {
    const auto seen = i == 0 ? manager.stop(task.id, {.reason = "enough"}).value()
                             : manager.wait({.ids = {task.id}}).value().ended.front();
    if (seen.status == Status::killed && seen.stop_reason == "enough") ++killed;
  });
  EXPECT_EQ(killed, 6);
}

TEST_F(Threads, AWaitEndsWhenItsCancelDescriptorIsReadable) {
  const auto task = manager.start({.argv = {"sleep", "100"}}).value();
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  std::jthread canceller([&] { static_cast<void>(!::write(ends[1], "x", 1)); });
  const auto waited = manager.wait({.ids = {task.id}, .cancel = Cancellation::when_readable(ends[0])}).value();
  canceller.join();
  EXPECT_TRUE(waited.timed_out);
  ASSERT_EQ(waited.running.size(), 1U);
  EXPECT_EQ(waited.running.front().id, task.id);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_F(Threads, AStopTokenEndsEveryWait) {
  const auto task = manager.start({.argv = {"sleep", "100"}}).value();
  std::stop_source stop;
  std::jthread canceller([&] { stop.request_stop(); });
  EXPECT_TRUE(manager.wait({.ids = {task.id}, .cancel = stop.get_token()}).value().timed_out);
  canceller.join();
  // Requested before the call: none of them begins to wait.
  EXPECT_TRUE(manager.wait({.ids = {task.id}, .cancel = stop.get_token()}).value().timed_out);
  EXPECT_TRUE(manager.await_output(task.id, 0, std::nullopt, stop.get_token()).has_value());
  EXPECT_FALSE(manager.notifications().await({.cancel = stop.get_token()}).value());
  EXPECT_TRUE(manager.stop(task.id).has_value());
}

TEST_F(Threads, AHandleStaysValidWhenTheManagerIsMoved) {
  const auto upkeep = manager.upkeep();
  TaskManager moved = std::move(manager);
  EXPECT_TRUE(upkeep.doctor().has_value());
  manager = std::move(moved);
}

TEST_F(Threads, EveryEventGoesToExactlyOneReader) {
  ASSERT_TRUE(manager.events().fd());
  std::atomic<int> events{0};
  std::atomic<bool> done{false};
  in_threads(4, [&](int i) {
    if (i == 0) {
      for (int k = 0; k < 10; ++k) {
        const auto task = manager.start({.argv = {"true"}}).value();
        static_cast<void>(manager.wait({.ids = {task.id}}));
      }
      done = true;
      return;
    }
    while (!done) events += static_cast<int>(manager.events().read().value().size());
  });
  events += static_cast<int>(manager.events().read().value().size());
  EXPECT_EQ(events, 20);
}

TEST_F(Threads, TheEmbeddingProgramGetsNoChildAndNoSignal) {
  const auto task = manager.start({.argv = {"true"}}).value();
  static_cast<void>(manager.wait({.ids = {task.id}}));
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
  EXPECT_EQ(errno, ECHILD);
  struct sigaction child{};
  ::sigaction(SIGCHLD, nullptr, &child);
  EXPECT_EQ(child.sa_handler, SIG_DFL);
}

TEST_F(Threads, AProgramThatIgnoresItsChildrenCanStartTasks) {
  struct sigaction before{};
  struct sigaction ignore{};
  ignore.sa_handler = SIG_IGN;
  ::sigaction(SIGCHLD, &ignore, &before);
  const auto task = manager.start({.shell_line = "exit 3"});
  ::sigaction(SIGCHLD, &before, nullptr);
  ASSERT_TRUE(task) << task.error().message;
  EXPECT_EQ(manager.wait({.ids = {task->id}}).value().ended.front().process.exit_code, 3);
}

TEST_F(Threads, ManyDescriptorsOpenHereAreNotOpenInTheCommand) {
  std::vector<int> open_here;
  for (int i = 0; i < 50; ++i) open_here.push_back(::open("/dev/null", O_RDONLY));  // on purpose not close-on-exec
  const auto task = manager.start({.argv = {"ls", "/proc/self/fd"}}).value();
  static_cast<void>(manager.wait({.ids = {task.id}}));
  EXPECT_EQ(manager.read_output(task.id, 0, 1000).value().bytes, "0\n1\n2\n3\n");
  for (const int fd : open_here) ::close(fd);
}

TEST_F(Threads, WithoutARunnerTheErrorSaysWhereItWasLookedFor) {
  auto lost = TaskManager::open({.session = temp.path() + "/session", .runner = "/no/such/perdure-runner"}).value();
  const auto task = lost.start({.argv = {"true"}});
  ASSERT_FALSE(task);
  EXPECT_EQ(task.error().code, ErrorCode::task_launch_failed);
  EXPECT_NE(task.error().message.find("/no/such/perdure-runner"), std::string::npos);
  EXPECT_TRUE(manager.list({.ended = true}).value().empty());
}

}  // namespace
}  // namespace perdure
