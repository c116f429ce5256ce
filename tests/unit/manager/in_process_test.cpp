// Tasks that are work of this program: what decides, who may end them, and what is left of them.

#include "support/temp_folder.h"
#include <perdure/manager.h>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <filesystem>
#include <mutex>
#include <stdexcept>
#include <thread>

namespace perdure {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

// Work that does nothing by itself: a test tells it what happens.
struct Puppet : InProcessTask {
  void start(TaskSink& given) override {
    const std::scoped_lock lock(mutex);
    sink = given;
  }
  void on_detach() override { ++detached; }
  void force_stop() override { ++forced; }

  TaskSink get() {
    const std::scoped_lock lock(mutex);
    return *sink;
  }
  std::mutex mutex;
  std::optional<TaskSink> sink;
  std::atomic<int> detached{0}, forced{0};
};

struct Throws : InProcessTask {
  void start(TaskSink& /*sink*/) override { throw std::runtime_error("no network"); }
};

std::size_t threads_of_this_process() {
  const std::filesystem::directory_iterator threads("/proc/self/task");
  return static_cast<std::size_t>(std::distance(begin(threads), end(threads)));
}

bool eventually(const std::function<bool()>& condition) {
  for (int i = 0; i < 3000; ++i) {
    if (condition()) return true;
    std::this_thread::sleep_for(milliseconds(10));
  }
  return false;
}

class InProcess : public testing::Test {
 protected:
  testing_support::TempFolder temp;
  const std::string session = temp.path() + "/session";
  std::optional<TaskManager> own = open();
  TaskManager other = open();  // as another process would see it: through the files and the sockets only
  std::shared_ptr<Puppet> puppet = std::make_shared<Puppet>();

  [[nodiscard]] TaskManager open() const {
    return TaskManager::open({.session = session, .runner = PERDURE_BIN_DIR "/perdure-runner"}).value();
  }
  Task start(InProcessOptions options = {}) {
    if (options.description.empty()) options.description = "work";
    return own->start(puppet, options).value();
  }
  Task ended(const Task& task) { return other.wait({.ids = {task.id}}).value().ended.front(); }
  static TaskResult failure(std::string reason) {
    return {.succeeded = false, .exit_code = {}, .reason = std::move(reason), .stop_code = {}};
  }
  static InProcessOptions agent() {
    InProcessOptions options{.kind = Kind::agent, .description = "research"};
    options.agent_id = AgentId{"agent-7"};
    return options;
  }
};

TEST_F(InProcess, IsARecordALogAndAnEndAsAnyOther) {
  const Task task = start({.description = "work", .owner = "main"});
  EXPECT_EQ(task.status, Status::running);
  EXPECT_EQ(other.list().value().size(), 1U);
  EXPECT_EQ(other.get(task.id).value().status, Status::running);
  EXPECT_TRUE(puppet->get().append_output("one\n"));
  EXPECT_EQ(other.read_output(task.id, 0, 100).value().bytes, "one\n");
  EXPECT_TRUE(puppet->get().append_output("two\n"));
  EXPECT_TRUE(puppet->get().settle({}));
  const Task end = ended(task);
  EXPECT_EQ(end.status, Status::completed);
  EXPECT_EQ(end.process.exit_code, 0);
  EXPECT_EQ(end.output.bytes, 8);
  EXPECT_EQ(other.output_snapshot(task.id).value().preview, "one\ntwo\n");
  EXPECT_FALSE(puppet->get().append_output("late"));
  EXPECT_FALSE(puppet->get().stop_token().stop_requested());
  EXPECT_FALSE(std::filesystem::exists(session + "/tasks/" + task.id.str() + "/control"));
  EXPECT_TRUE(other.upkeep().doctor().has_value());
}

TEST_F(InProcess, L17_L46_AFailureKeepsItsCodeAndItsReason) {
  const Task task = start();
  EXPECT_TRUE(puppet->get().settle({.succeeded = false, .exit_code = 7, .reason = "broke", .stop_code = {}}));
  const Task end = ended(task);
  EXPECT_EQ(end.status, Status::failed);
  EXPECT_EQ(end.process.exit_code, 7);
  EXPECT_EQ(end.stop_reason, "broke");
}

TEST_F(InProcess, ALateSettlementChangesNothing) {
  const Task task = start();
  EXPECT_TRUE(puppet->get().settle({}));
  EXPECT_FALSE(puppet->get().settle(failure("late")));
  EXPECT_EQ(ended(task).status, Status::completed);
  EXPECT_EQ(puppet->forced, 0);
}

TEST_F(InProcess, WhatStartThrowsMakesItFail) {
  const Task task = own->start(std::make_shared<Throws>(), {.description = "throws"}).value();
  EXPECT_EQ(task.status, Status::failed);
  EXPECT_EQ(task.stop_reason, "no network");
}

TEST_F(InProcess, L14_StoppedAndSettledWithinTheGraceIsKilledWithTheReason) {
  const Task task = start();
  const std::jthread worker([&] {
    if (eventually([&] { return puppet->get().stop_token().stop_requested(); })) {
      EXPECT_FALSE(puppet->get().settle({}));
    }
  });
  const Task end = other.stop(task.id, {.reason = "enough"}).value();
  EXPECT_EQ(end.status, Status::killed);
  EXPECT_EQ(end.stop_reason, "enough");
  EXPECT_EQ(puppet->forced, 0);
}

TEST_F(InProcess, L14_AnAgentThatReallyEndsWithinTheGraceKeepsThatOutcome) {
  for (const bool succeeds : {true, false}) {
    puppet = std::make_shared<Puppet>();
    const Task task = start(agent());
    const std::jthread worker([&] {
      if (eventually([&] { return puppet->get().stop_token().stop_requested(); })) {
        EXPECT_TRUE(puppet->get().settle(succeeds ? TaskResult() : failure("really")));
      }
    });
    const Task end = other.stop(task.id, {.reason = "enough"}).value();
    EXPECT_EQ(end.status, succeeds ? Status::completed : Status::failed);
    EXPECT_EQ(end.stop_reason, succeeds ? std::nullopt : std::optional<std::string>("really"));
  }
}

TEST_F(InProcess, L12_AfterTheGraceItIsForced) {
  const Task task = start({.description = "deaf", .grace = milliseconds(50)});
  const Task end = other.stop(task.id, {.reason = "enough"}).value();
  EXPECT_EQ(end.status, Status::killed);
  EXPECT_EQ(puppet->forced, 1);
  EXPECT_FALSE(puppet->get().settle({}));
  EXPECT_EQ(other.stop(task.id, {.reason = "again"}).value().stop_reason, "enough");  // L13
}

TEST_F(InProcess, L09_L29_AfterTheDeadlineNoSettlementCounts) {
  auto options = agent();
  options.timeout = milliseconds(30);
  const Task task = start(options);
  EXPECT_TRUE(eventually([&] { return puppet->get().stop_token().stop_requested(); }));
  EXPECT_FALSE(puppet->get().settle({}));
  const Task end = ended(task);
  EXPECT_EQ(end.status, Status::timed_out);
  EXPECT_FALSE(end.stop_reason.has_value());
}

TEST_F(InProcess, L09_AfterDeadlineAndGraceItIsForced) {
  const Task task = start({.description = "deaf", .timeout = milliseconds(20), .grace = milliseconds(20)});
  EXPECT_EQ(ended(task).status, Status::timed_out);
  EXPECT_EQ(puppet->forced, 1);
}

TEST_F(InProcess, L11_L44_DetachingTellsItAndReArmsTheDeadline) {
  const Task task = start({.description = "work", .detached = false, .timeout = std::chrono::seconds(600)});
  EXPECT_EQ(own->wait_for_release(task.id, milliseconds(1)).value().how, Release::waiting);
  std::optional<Release> how;
  {
    const std::jthread waiter([&] { how = other.wait_for_release(task.id).value().how; });
    const Task detached = other.detach(task.id, milliseconds(100)).value();
    EXPECT_TRUE(detached.detached);
    EXPECT_EQ(detached.limits.timeout_ms, 100);
  }
  EXPECT_EQ(how, Release::detached);
  EXPECT_EQ(puppet->detached, 1);
  EXPECT_TRUE(eventually([&] { return puppet->get().stop_token().stop_requested(); }));
  static_cast<void>(puppet->get().settle({}));
  EXPECT_EQ(ended(task).status, Status::timed_out);
}

TEST_F(InProcess, L45_AnOwnersStopIsNotToldToIt) {
  const Task task = start({.description = "work", .grace = milliseconds(0), .owner = "main"});
  EXPECT_EQ(other.stop(task.id, {.by = "main"}).value().notification.suppressed, true);
}

TEST_F(InProcess, L16_CloseStopsWhatLivesAsLongAsTheSession) {
  const Task task = start({.description = "work", .grace = milliseconds(0), .session_lifetime = true});
  EXPECT_EQ(own->close().value().size(), 1U);
  EXPECT_EQ(ended(task).stop_reason, "Session closed");
}

TEST_F(InProcess, L07_ADeadlineThatDidNotFireHoldsNoThreadAndNobodyUp) {
  const std::size_t before = threads_of_this_process();
  const Task task = start({.description = "work", .timeout = std::chrono::seconds(600)});
  EXPECT_EQ(threads_of_this_process(), before + 1);
  static_cast<void>(puppet->get().settle({}));
  EXPECT_TRUE(eventually([&] { return threads_of_this_process() == before; }));
  const Task command = own->start({.argv = {"true"}, .timeout = std::chrono::seconds(600)}).value();
  static_cast<void>(own->wait({.ids = {command.id}}));
  const auto asked = Clock::now();
  own.reset();
  const auto took = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - asked);
  fmt::print("a program whose two tasks had a deadline of 600 s and ended at once let go within {} us\n", took.count());
  EXPECT_LT(took, std::chrono::seconds(5));
  EXPECT_EQ(other.get(task.id).value().status, Status::completed);
}

TEST_F(InProcess, AManagerThatGoesEndsWhatStillRuns) {
  const Task task = start({.description = "work", .timeout = std::chrono::seconds(600)});
  const TaskSink late = puppet->get();
  const auto asked = Clock::now();
  own.reset();
  EXPECT_LT(Clock::now() - asked, std::chrono::seconds(5));
  EXPECT_TRUE(late.stop_token().stop_requested());
  EXPECT_EQ(puppet->forced, 1);
  EXPECT_EQ(other.get(task.id).value().status, Status::killed);
  EXPECT_FALSE(puppet->get().settle({}));
  EXPECT_FALSE(puppet->get().append_output("late"));
}

TEST_F(InProcess, L39_IsLostWithItsProgram) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    TaskManager manager = open();
    const auto task = manager.start(puppet, {.description = "work"});
    const std::string id = task ? task->id.str() : "";
    static_cast<void>(!::write(ends[1], id.data(), id.size()));
    ::pause();
  }
  char text[80] = {};
  ASSERT_GT(::read(ends[0], text, sizeof text - 1), 0);
  ::close(ends[0]);
  ::close(ends[1]);
  const TaskId id = TaskId::parse(text).value();
  EXPECT_EQ(other.get(id).value().status, Status::running);
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_EQ(other.get(id).value().status, Status::lost);
  const Task end = other.wait({.ids = {id}}).value().ended.front();
  EXPECT_EQ(end.status, Status::lost);
  EXPECT_EQ(end.lost_evidence, Evidence::runner_killed);
}

TEST_F(InProcess, OneCauseDecidesWhenStopDeadlineAndSettlementMeet) {
  for (int round = 0; round < 40; ++round) {
    puppet = std::make_shared<Puppet>();
    const Task task = start({.description = "race", .timeout = milliseconds(3), .grace = milliseconds(round % 3)});
    std::atomic<int> counted{0};
    std::optional<Task> stopped;
    {
      const std::jthread stopper([&] { stopped = other.stop(task.id, {.reason = "enough"}).value(); });
      const std::jthread one([&] { counted += puppet->get().settle({}) ? 1 : 0; });
      const std::jthread two([&] { counted += puppet->get().settle(failure("two")) ? 1 : 0; });
      const std::jthread writer([&] {
        while (puppet->get().append_output("x")) {
        }
      });
    }
    const Task end = ended(task);
    EXPECT_EQ(stopped->status, end.status);
    const bool settled = end.status == Status::completed || end.status == Status::failed;
    EXPECT_EQ(counted, settled ? 1 : 0) << name_of(end.status);
    EXPECT_EQ(end.stop_reason.has_value(), end.status == Status::killed || end.status == Status::failed);
    EXPECT_EQ(end.output.bytes, other.read_output(task.id, 0, 1 << 20).value().size);
  }
}

TEST_F(InProcess, ManyAtOnceShareOneThread) {
  const std::size_t before = threads_of_this_process();
  std::vector<std::shared_ptr<Puppet>> puppets;
  std::vector<TaskId> ids;
  for (int i = 0; i < 20; ++i) {
    puppets.push_back(puppet = std::make_shared<Puppet>());
    ids.push_back(start({.description = "one of many", .timeout = std::chrono::seconds(600)}).id);
  }
  EXPECT_EQ(threads_of_this_process(), before + 1);
  const std::jthread worker([&] {
    for (const auto& one : puppets) static_cast<void>(one->get().settle({}));
  });
  EXPECT_EQ(other.wait({.ids = ids}).value().ended.size(), 20U);
}

}  // namespace
}  // namespace perdure
