// Foreground tasks as a program that embeds the library has them.

#include "support/temp_folder.h"
#include <perdure/event_log.h>
#include <perdure/listing.h>
#include <perdure/manager.h>

#include <unistd.h>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <thread>

namespace perdure {
namespace {

using std::chrono::milliseconds;

class Foreground : public testing::Test {
 protected:
  testing_support::TempFolder temp;
  TaskManager manager = open();

  TaskManager open() const {
    return TaskManager::open({.session = temp.path() + "/session", .runner = PERDURE_BIN_DIR "/perdure-runner"})
        .value();
  }
  static StartOptions command(const std::string& line) { return {.shell_line = line, .detached = false}; }
  std::string gate() const { return temp.path() + "/go"; }
  std::string wait_for_gate() const { return fmt::format("until [ -e '{}' ]; do sleep 0.01; done", gate()); }
  void let_go() const { std::ofstream(gate()).put('g'); }
  bool is_anything_stored() const {
    const std::filesystem::directory_iterator tasks(temp.path() + "/session/tasks");
    return tasks != std::filesystem::directory_iterator();
  }

  void TearDown() override {
    auto anybody = open();
    const auto left = anybody.list().value();
    for (const auto& task : left) static_cast<void>(anybody.stop(task.id, {.grace = milliseconds(0)}));
  }
};

TEST_F(Foreground, L27_L42_AnEndIsToldAndItsOutputReadAndNothingIsStored) {
  const auto task = manager.start(command("echo out; exit 3")).value();
  EXPECT_FALSE(task.detached);
  const auto released = manager.wait_for_release(task.id).value();
  EXPECT_EQ(released.how, Release::terminal);
  EXPECT_EQ(released.task.status, Status::failed);
  EXPECT_EQ(released.task.process.exit_code, 3);
  EXPECT_FALSE(is_anything_stored());
  EXPECT_EQ(manager.read_output(task.id, 0, 100).value().bytes, "out\n");
  EXPECT_EQ(manager.output_snapshot(task.id).value().preview, "out\n");
  EXPECT_EQ(manager.get(task.id).value().process.exit_code, 3);
  EXPECT_EQ(manager.list({.ended = true}).value().size(), 0U);
  EXPECT_EQ(open().get(task.id).error().code, ErrorCode::task_not_found);
}

TEST_F(Foreground, EveryThreadThatWaitsHearsTheSame) {
  const auto task = manager.start(command(wait_for_gate())).value();
  std::atomic<int> heard{0};
  {
    std::vector<std::jthread> threads;
    for (int i = 0; i < 6; ++i)
      threads.emplace_back(
          [&] { heard += manager.wait_for_release(task.id).value().how == Release::terminal ? 1 : 0; });
    let_go();
  }
  EXPECT_EQ(heard, 6);
  EXPECT_EQ(manager.wait_for_release(task.id).value().task.process.exit_code, 0) << "also the one who asks later";
}

TEST_F(Foreground, AnotherManagerHearsOfTheEnd) {
  const auto task = manager.start(command(wait_for_gate() + "; exit 4")).value();
  auto other = open();
  std::jthread letting_go([&] { let_go(); });
  const auto released = other.wait_for_release(task.id).value();
  EXPECT_EQ(released.how, Release::terminal);
  EXPECT_EQ(released.task.process.exit_code, 4);
}

TEST_F(Foreground, L10_ItsDeadlineDetachesIt) {
  StartOptions options = command("echo out; sleep 100");
  options.timeout = milliseconds(100);
  options.on_timeout = OnTimeout::detach;
  const auto task = manager.start(options).value();
  const auto released = manager.wait_for_release(task.id).value();
  EXPECT_EQ(released.how, Release::timeout_detached);
  EXPECT_EQ(released.task.status, Status::running);
  EXPECT_TRUE(released.task.detached);
  EXPECT_FALSE(released.task.limits.timeout_ms.has_value());
  EXPECT_EQ(manager.read_output(task.id, 0, 100).value().bytes, "out\n");
}

TEST_F(Foreground, L44_DetachIsToldToTheOneWhoWaits) {
  const auto task = manager.start(command("sleep 100")).value();
  std::jthread detaching(
      [&] { EXPECT_EQ(open().detach(task.id, milliseconds(60'000)).value().limits.timeout_ms, 60'000); });
  const auto released = manager.wait_for_release(task.id).value();
  EXPECT_EQ(released.how, Release::detached);
  EXPECT_EQ(released.task.limits.timeout_ms, 60'000);
  EXPECT_EQ(manager.wait_for_release(task.id).value().how, Release::detached) << "and to the one who asks later";
}

TEST_F(Foreground, TimePassesWithoutARelease) {
  const auto task = manager.start(command("sleep 100")).value();
  const auto waiting = manager.wait_for_release(task.id, milliseconds(20)).value();
  EXPECT_EQ(waiting.how, Release::waiting);
  EXPECT_EQ(waiting.task.status, Status::running);
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  ::close(ends[1]);
  EXPECT_EQ(manager.wait_for_release(task.id, std::nullopt, Cancellation::when_readable(ends[0])).value().how,
            Release::waiting);
  ::close(ends[0]);
}

TEST_F(Foreground, ItOutlivesTheManagerThatIsDestroyed) {
  const auto task = manager.start(command("echo out; " + wait_for_gate())).value();
  {
    const TaskManager gone = std::move(manager);
  }
  manager = open();
  const auto released = manager.wait_for_release(task.id).value();
  EXPECT_EQ(released.how, Release::detached);
  let_go();
  EXPECT_EQ(manager.wait({.ids = {task.id}}).value().ended.front().status, Status::completed);
  EXPECT_EQ(manager.read_output(task.id, 0, 100).value().bytes, "out\n");
}

TEST_F(Foreground, L41_WhatIsKeptHasItsLogAndARecordThatIsNotListed) {
  const auto task = manager.start(command("echo out; exit 3")).value();
  ASSERT_TRUE(manager.wait_for_release(task.id));
  const auto kept = manager.retain_output(task.id).value();
  EXPECT_FALSE(kept.detached);
  auto other = open();
  EXPECT_EQ(other.get(task.id).value().process.exit_code, 3);
  EXPECT_EQ(other.read_output(task.id, 0, 100).value().bytes, "out\n");
  EXPECT_EQ(other.output_path(task.id).value(), temp.path() + "/session/tasks/" + task.id.str() + "/output.log");
  EXPECT_TRUE(other.list({.ended = true}).value().empty());
  EXPECT_TRUE(other.events().since(0).value().empty());
  EXPECT_EQ(manager.retain_output(task.id).value().process.exit_code, 3) << "a second time changes nothing";
}

TEST_F(Foreground, L41_OneWithoutOutputIsKeptWithoutALog) {
  const auto task = manager.start(command("true")).value();
  ASSERT_TRUE(manager.wait_for_release(task.id));
  ASSERT_TRUE(manager.retain_output(task.id));
  EXPECT_FALSE(open().output_path(task.id).value().has_value());
  EXPECT_FALSE(std::filesystem::exists(temp.path() + "/session/tasks/" + task.id.str()));
}

TEST_F(Foreground, StopReturnsTheOutcomeThatIsNowhereOnDisk) {
  const auto task = manager.start(command("sleep 100")).value();
  const auto stopped = open().stop(task.id, {.reason = "enough"}).value();
  EXPECT_EQ(stopped.status, Status::killed);
  EXPECT_EQ(stopped.stop_reason, "enough");
  EXPECT_EQ(manager.wait_for_release(task.id).value().task.status, Status::killed);
  EXPECT_EQ(manager.stop(task.id).value().stop_reason, "enough") << "L13";
}

TEST_F(Foreground, AwaitOutputWakesForAFileWithoutAName) {
  const auto task = manager.start(command(wait_for_gate() + "; echo out; sleep 100")).value();
  auto other = open();
  std::jthread letting_go([&] { let_go(); });
  ASSERT_TRUE(other.await_output(task.id, 0, milliseconds(30'000)));
  EXPECT_EQ(other.read_output(task.id, 0, 100).value().bytes, "out\n");
}

TEST_F(Foreground, OnlyThe32ThatEndedLastStayReadable) {
  std::vector<TaskId> ids;
  for (int i = 0; i < 33; ++i) {
    ids.push_back(manager.start(command(fmt::format("echo {}", i))).value().id);
    ASSERT_TRUE(manager.wait_for_release(ids.back()));
  }
  EXPECT_EQ(manager.get(ids.front()).error().code, ErrorCode::task_not_found);
  EXPECT_EQ(manager.read_output(ids[1], 0, 100).value().bytes, "1\n");
}

TEST_F(Foreground, WhatContradictsTheForegroundIsRefusedAndRunsNothing) {
  StartOptions keyed = command("touch " + gate());
  keyed.idempotency_key = "k";
  StartOptions queued = command("touch " + gate());
  queued.queue = true;
  const StartOptions streamed{.shell_line = "touch " + gate(), .stream_fd = 1};
  for (const auto& options : {keyed, queued, streamed})
    EXPECT_EQ(manager.start(options).error().code, ErrorCode::usage);
  EXPECT_FALSE(std::filesystem::exists(gate()));
}

TEST_F(Foreground, L48_AfterACloseEveryCallSaysSo) {
  const auto stays = manager.start(command("sleep 100")).value();
  const auto goes = manager.start({.argv = {"sleep", "100"}, .session_lifetime = true}).value();
  const auto closed = manager.close().value();
  ASSERT_EQ(closed.size(), 1U);
  EXPECT_EQ(closed.front().id, goes.id);
  EXPECT_EQ(closed.front().stop_reason, "Session closed");
  const auto code = [](const auto& result) { return result.error().code; };
  EXPECT_EQ(code(manager.start({.argv = {"true"}})), ErrorCode::session_closed);
  EXPECT_EQ(code(manager.get(stays.id)), ErrorCode::session_closed);
  EXPECT_EQ(code(manager.list()), ErrorCode::session_closed);
  EXPECT_EQ(code(Listing::of(manager)), ErrorCode::session_closed);
  EXPECT_EQ(code(EventLog::of(manager, 0)), ErrorCode::session_closed);
  EXPECT_EQ(code(manager.wait({})), ErrorCode::session_closed);
  EXPECT_EQ(code(manager.stop(stays.id)), ErrorCode::session_closed);
  EXPECT_EQ(code(manager.wait_for_release(stays.id)), ErrorCode::session_closed);
  EXPECT_EQ(code(manager.detach(stays.id)), ErrorCode::session_closed);
  EXPECT_EQ(code(manager.retain_output(stays.id)), ErrorCode::session_closed);
  EXPECT_EQ(code(manager.read_output(stays.id, 0, 1)), ErrorCode::session_closed);
  EXPECT_EQ(code(manager.output_snapshot(stays.id)), ErrorCode::session_closed);
  EXPECT_EQ(code(manager.output_path(stays.id)), ErrorCode::session_closed);
  EXPECT_EQ(code(manager.await_output(stays.id, 0, milliseconds(1))), ErrorCode::session_closed);
  EXPECT_EQ(code(manager.signal(stays.id, 15)), ErrorCode::session_closed);
  EXPECT_EQ(code(manager.upkeep().reconcile()), ErrorCode::session_closed);
  EXPECT_EQ(code(manager.upkeep().bad_records()), ErrorCode::session_closed);
  EXPECT_EQ(code(manager.events().fd()), ErrorCode::session_closed);
  EXPECT_EQ(code(manager.events().read()), ErrorCode::session_closed);
  EXPECT_EQ(code(manager.events().since(0)), ErrorCode::session_closed);
  EXPECT_EQ(code(manager.upkeep().doctor()), ErrorCode::session_closed);
  EXPECT_EQ(code(manager.upkeep().remove(stays.id)), ErrorCode::session_closed);
  EXPECT_EQ(code(manager.upkeep().collect_garbage({})), ErrorCode::session_closed);
  EXPECT_EQ(code(manager.close()), ErrorCode::session_closed);
  auto other = open();
  EXPECT_EQ(other.wait_for_release(stays.id).value().how, Release::detached) << "L16: it goes on in the background";
}

}  // namespace
}  // namespace perdure
