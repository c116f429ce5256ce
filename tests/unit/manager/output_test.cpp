#include "base/utf8.h"
#include "contract/names.h"
#include "unit/hand_made_session.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <thread>

namespace perdure {
namespace {

using namespace std::chrono_literals;

constexpr const char* kId = "bash-00000001";
constexpr auto kBound = 10s;  // far beyond what anything here takes; reached only by a failure

class OutputTest : public ::testing::Test {
 protected:
  [[nodiscard]] OutputSnapshot snapshot(std::int64_t tail) const {
    auto found = disk.manager().output_snapshot(id, tail);
    EXPECT_TRUE(found.has_value());
    return found.value_or(OutputSnapshot{});
  }
  [[nodiscard]] OutputChunk chunk(std::int64_t offset, std::int64_t limit) const {
    auto found = disk.manager().read_output(id, offset, limit);
    EXPECT_TRUE(found.has_value());
    return found.value_or(OutputChunk{});
  }
  testing::HandMadeSession disk;
  TaskId id = testing::HandMadeSession::id(kId);
};

TEST_F(OutputTest, L47_ReadingAnUnknownTaskMakesNothing) {
  EXPECT_EQ(disk.manager().read_output(id, 0, 1).error().code, ErrorCode::task_not_found);
  EXPECT_EQ(disk.manager().output_snapshot(id).error().code, ErrorCode::task_not_found);
  EXPECT_EQ(disk.manager().await_output(id, 0, 0ms).error().code, ErrorCode::task_not_found);
  EXPECT_FALSE(disk.exists(disk.path()));
}

TEST_F(OutputTest, L37_ThePathIsAbsoluteAndAbsentWhereThereIsNoLog) {
  disk.own(kId, "completed");
  EXPECT_EQ(disk.manager().output_path(id).value(), std::nullopt);
  disk.output(kId, "x");
  EXPECT_EQ(disk.manager().output_path(id).value(), disk.folder(kId) + "/output.log");
}

TEST_F(OutputTest, ANegativeOffsetIsRefused) {
  disk.own(kId, "completed");
  EXPECT_EQ(disk.manager().read_output(id, -1, 1).error().code, ErrorCode::usage);
  EXPECT_EQ(disk.manager().read_output(id, 0, -1).error().code, ErrorCode::usage);
}

TEST_F(OutputTest, AWindowTellsWhereToGoOn) {
  disk.own(kId, "completed");
  disk.output(kId, "0123456789");
  const auto first = chunk(2, 3);
  EXPECT_EQ(first.bytes, "234");
  EXPECT_EQ(first.next_offset, 5);
  EXPECT_EQ(first.size, 10);
  EXPECT_FALSE(first.eof);
}

TEST_F(OutputTest, TheEndIsTheEndOnlyOfATaskThatHasEnded) {
  disk.own(kId, "completed");
  disk.output(kId, "0123");
  EXPECT_TRUE(chunk(0, 100).eof);
  const Fd runner = disk.hold(kId);
  disk.own(kId, "running");
  EXPECT_FALSE(chunk(0, 100).eof);
}

TEST_F(OutputTest, L24_ReadingWhatWasDroppedNamesTheNextOffset) {
  disk.own(kId, "completed", R"("outputBytes":14,"droppedBytes":6,"droppedAt":4)");
  disk.output(kId, "head\n[perdure: 6 bytes dropped here]\ntail");
  const auto expired = disk.manager().read_output(id, 5, 1);
  EXPECT_EQ(expired.error().code, ErrorCode::output_expired);
  EXPECT_EQ(expired.error().details.at("nextOffset"), "10");
  EXPECT_EQ(chunk(10, 100).bytes, "tail");
  EXPECT_TRUE(chunk(10, 100).eof);
  EXPECT_EQ(chunk(10, 100).dropped, 6);
}

TEST_F(OutputTest, ATailOfZeroIsNothing) {
  disk.own(kId, "completed");
  disk.output(kId, "0123");
  const auto found = snapshot(0);
  EXPECT_EQ(found.preview, "");
  EXPECT_EQ(found.preview_bytes, 0);
  EXPECT_EQ(found.size_bytes, 4);
  EXPECT_TRUE(found.truncated);
}

TEST_F(OutputTest, AWholePreviewIsNotTruncated) {
  disk.own(kId, "completed");
  disk.output(kId, "0123");
  const auto found = snapshot(4);
  EXPECT_EQ(found.preview, "0123");
  EXPECT_FALSE(found.truncated);
  EXPECT_TRUE(found.full_output_available);
  EXPECT_TRUE(found.eof);
  EXPECT_EQ(found.next_offset, 4);
}

TEST_F(OutputTest, APreviewNeverSplitsACharacter) {
  disk.own(kId, "completed");
  const std::string text = "a\u00e4\u20ac\U0001F600z";
  disk.output(kId, text);
  for (std::int64_t tail = 0; tail <= static_cast<std::int64_t>(text.size()); ++tail) {
    const auto found = snapshot(tail);
    EXPECT_TRUE(is_valid_utf8(found.preview)) << tail;
    EXPECT_TRUE(text.ends_with(found.preview)) << tail;
    EXPECT_LE(found.preview_bytes, tail);
    EXPECT_EQ(found.preview_bytes, static_cast<std::int64_t>(found.preview.size()));
  }
}

TEST_F(OutputTest, L23_APreviewOfBinaryOutputIsValidAndNoLongerThanAskedFor) {
  disk.own(kId, "completed");
  disk.output(kId, std::string(100, '\xFF'));
  const auto found = snapshot(50);
  EXPECT_TRUE(is_valid_utf8(found.preview));
  EXPECT_LE(found.preview_bytes, 50);
  EXPECT_GT(found.preview_bytes, 40);
}

TEST_F(OutputTest, L23_WhileATaskRunsAnIncompleteCharacterWaitsForItsRest) {
  disk.own(kId, "running");
  const Fd runner = disk.hold(kId);
  disk.output(kId, "ab\xE2\x82");
  const auto found = snapshot(100);
  EXPECT_EQ(found.preview, "ab");
  EXPECT_EQ(found.next_offset, 2);
  EXPECT_FALSE(found.eof);
}

TEST_F(OutputTest, APreviewOfDroppedOutputIsWhatIsBehindTheGap) {
  disk.own(kId, "completed", R"("outputBytes":14,"droppedBytes":6,"droppedAt":4)");
  disk.output(kId, "head\n[perdure: 6 bytes dropped here]\ntail");
  const auto found = snapshot(100);
  EXPECT_EQ(found.preview, "tail");
  EXPECT_TRUE(found.truncated);
  EXPECT_FALSE(found.full_output_available);
  EXPECT_EQ(found.dropped_bytes, 6);
  EXPECT_EQ(found.size_bytes, 14);
}

TEST_F(OutputTest, L25_OutputThatTheDiskRefusedIsNotFull) {
  disk.own(kId, "completed", R"("unstoredBytes":3)");
  disk.output(kId, "0123");
  EXPECT_FALSE(snapshot(100).full_output_available);
}

TEST_F(OutputTest, L25_WhileATaskRunsItsRunnerTellsWhatTheDiskRefused) {
  disk.own(kId, "running");
  disk.output(kId, "0123");
  const Fd lock = disk.hold(kId);
  const Fd listener = disk.listen(kId);
  std::thread runner([&] {
    const Fd client(::accept(listener.get(), nullptr, nullptr));
    char line[64];
    EXPECT_EQ(std::string(line, static_cast<std::size_t>(::read(client.get(), line, sizeof line))), "output\n");
    EXPECT_EQ(::write(client.get(), "output 7 0 3\n", 13), 13);
  });
  const auto found = snapshot(100);
  runner.join();
  EXPECT_FALSE(found.full_output_available);
}

TEST_F(OutputTest, AwaitingOutputThatIsThereReturnsAtOnce) {
  disk.own(kId, "running");
  const Fd lock = disk.hold(kId);
  disk.output(kId, "0123");
  EXPECT_TRUE(disk.manager().await_output(id, 3, kBound).has_value());
}

TEST_F(OutputTest, AwaitingAnEndedTaskReturnsAtOnce) {
  disk.own(kId, "completed");
  EXPECT_TRUE(disk.manager().await_output(id, 100, kBound).has_value());
}

TEST_F(OutputTest, AwaitingStopsWhenItsTimeHasPassed) {
  disk.own(kId, "running");
  const Fd lock = disk.hold(kId);
  const auto before = steady_ms();
  EXPECT_TRUE(disk.manager().await_output(id, 0, 30ms).has_value());
  EXPECT_GE(steady_ms() - before, 30);
}

TEST_F(OutputTest, AwaitingStopsWhenItIsCancelled) {
  disk.own(kId, "running");
  const Fd lock = disk.hold(kId);
  const Fd cancel(::eventfd(1, EFD_CLOEXEC));
  const auto before = steady_ms();
  EXPECT_TRUE(disk.manager().await_output(id, 0, kBound, Cancellation::when_readable(cancel.get())).has_value());
  EXPECT_LT(steady_ms() - before, 5000);
}

// A thread that awaits, and a runner that has heard of it: everything that wakes it comes afterwards.
class AwaitTest : public OutputTest {
 protected:
  void start(std::int64_t offset) {
    disk.own(kId, "running");
    lock = disk.hold(kId);
    listener = disk.listen(kId);
    waiter = std::thread([this, offset] {
      EXPECT_TRUE(disk.manager().await_output(id, offset, kBound).has_value());
      took_ms = steady_ms() - began_ms;
    });
    client = Fd(::accept(listener.get(), nullptr, nullptr));
    char line[64];
    EXPECT_EQ(std::string(line, static_cast<std::size_t>(::read(client.get(), line, sizeof line))), "wait\n");
  }
  void TearDown() override {
    if (waiter.joinable()) waiter.join();
    EXPECT_LT(took_ms, 5000) << "it was the time-out that woke it";
  }
  std::int64_t began_ms = steady_ms();
  std::int64_t took_ms = 0;
  Fd lock, listener, client;
  std::thread waiter;
};

TEST_F(AwaitTest, NewOutputWakes) {
  disk.output(kId, "0123");
  start(4);
  disk.append(disk.folder(kId) + "/output.log", "4");
}

TEST_F(AwaitTest, TheFirstOutputWakes) {
  start(0);
  disk.output(kId, "0");
}

TEST_F(AwaitTest, OutputInASegmentWakes) {
  disk.output(kId, "head");
  start(4);
  disk.segment(kId, 4, "5");
}

TEST_F(AwaitTest, TheEndWakesThoughNothingWasPrinted) {
  start(0);
  disk.own(kId, "completed");
  EXPECT_EQ(::unlink((disk.folder(kId) + "/runner.lock").c_str()), 0);
  lock.reset();
  EXPECT_EQ(::write(client.get(), "ended\n", 6), 6);
}

TEST_F(AwaitTest, ARunnersDeathWakes) {
  start(0);
  listener.reset();
  EXPECT_EQ(::unlink((disk.folder(kId) + "/control").c_str()), 0);
  lock.reset();
  client.reset();
}

TEST_F(OutputTest, TheFirstOutputOfAnotherProgramsTaskWakes) {
  disk.foreign(kId, "running", fmt::format(R"("note":{})", ::getpid()));
  const auto manager = disk.manager();
  std::thread writer([&] { disk.output(kId, "x"); });
  EXPECT_TRUE(manager.await_output(id, 0, kBound).has_value());
  EXPECT_EQ(manager.read_output(id, 0, 1).value().bytes, "x");
  writer.join();
}

}  // namespace
}  // namespace perdure
