#include "store/output_log.h"

#include "unit/hand_made_session.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>

namespace perdure::store {
namespace {

constexpr const char* kId = "bash-00000001";

class OutputLogTest : public ::testing::Test {
 protected:
  [[nodiscard]] Task task(Status status = Status::running) const {
    Task made{.id = testing::HandMadeSession::id(kId)};
    made.status = status;
    made.found.source = disk.record_path(kId);
    return made;
  }
  [[nodiscard]] Task truncated(std::int64_t at, std::int64_t bytes) const {
    Task made = task(Status::completed);
    made.output.dropped_at = at;
    made.output.dropped_bytes = bytes;
    return made;
  }
  [[nodiscard]] OutputLog open(const Task& which) const {
    auto log = OutputLog::open(disk.session(), which);
    EXPECT_TRUE(log.has_value());
    return std::move(*log);
  }
  testing::HandMadeSession disk;
};

std::string marker(int dropped) {
  return fmt::format("\n[perdure: {} bytes dropped here]\n", dropped);
}

std::string read(const OutputLog& log, std::int64_t offset, std::int64_t limit) {
  auto bytes = log.read(offset, limit);
  return bytes ? *bytes : "<" + std::string(name_of(bytes.error().code)) + ">";
}

std::string next_offset(const OutputLog& log, std::int64_t offset) {
  const auto bytes = log.read(offset, 1);
  return bytes ? "" : bytes.error().details.at("nextOffset");
}

TEST_F(OutputLogTest, NoLogIsAnEmptyOne) {
  EXPECT_EQ(open(task()).size(), 0);
  EXPECT_EQ(read(open(task()), 0, 10), "");
}

TEST_F(OutputLogTest, L47_LookingForALogMakesNothing) {
  static_cast<void>(open(task()));
  EXPECT_FALSE(disk.exists(disk.path()));
}

TEST_F(OutputLogTest, L23_EveryByteIsThereAsItWasWritten) {
  const std::string bytes("a\0\xFF\x80\r\n", 6);
  disk.output(kId, bytes);
  EXPECT_EQ(read(open(task()), 0, 100), bytes);
}

TEST_F(OutputLogTest, AWindowIsCutOutOfTheLog) {
  disk.output(kId, "0123456789");
  EXPECT_EQ(read(open(task()), 3, 4), "3456");
}

TEST_F(OutputLogTest, NothingIsReadBeyondTheEnd) {
  disk.output(kId, "0123");
  EXPECT_EQ(read(open(task()), 4, 4), "");
  EXPECT_EQ(read(open(task()), 400, 4), "");
}

TEST_F(OutputLogTest, TheGreatestLimitIsNoOverflow) {
  disk.output(kId, "0123");
  EXPECT_EQ(read(open(task()), 1, INT64_MAX), "123");
}

TEST_F(OutputLogTest, L24_WhileATaskRunsHeadAndSegmentsAreOneStream) {
  disk.output(kId, "head");
  disk.segment(kId, 4, "56");
  disk.segment(kId, 6, "78");
  const auto log = open(task());
  EXPECT_EQ(log.size(), 8);
  EXPECT_EQ(log.dropped(), 0);
  EXPECT_EQ(read(log, 2, 5), "ad567");
}

TEST_F(OutputLogTest, L24_AReadInTheGapIsExpiredAndNamesTheNextByte) {
  disk.output(kId, "head");
  disk.segment(kId, 10, "tail");
  const auto log = open(task());
  EXPECT_EQ(read(log, 4, 1), "<output.expired>");
  EXPECT_EQ(next_offset(log, 4), "10");
  EXPECT_EQ(next_offset(log, 9), "10");
  EXPECT_EQ(read(log, 10, 9), "tail");
}

TEST_F(OutputLogTest, L24_AReadEndsWhereBytesWereDropped) {
  disk.output(kId, "head");
  disk.segment(kId, 10, "tail");
  EXPECT_EQ(read(open(task()), 2, 100), "ad");
}

TEST_F(OutputLogTest, L24_DroppedBytesAreCountedExactlyWhileItRuns) {
  disk.output(kId, "head");
  disk.segment(kId, 10, "tail");
  EXPECT_EQ(open(task()).dropped(), 6);
  EXPECT_EQ(open(task()).dropped_at(), 4);
  EXPECT_EQ(open(task()).size(), 14);
}

TEST_F(OutputLogTest, SegmentsAreOrderedByNumberNotByName) {
  disk.output(kId, "12345678");
  disk.segment(kId, 8, "ab");
  disk.segment(kId, 10, "cd");
  EXPECT_EQ(read(open(task()), 0, 100), "12345678abcd");
}

TEST_F(OutputLogTest, ASegmentThatVanishesAfterOpeningStaysReadable) {
  disk.output(kId, "head");
  disk.segment(kId, 10, "tail");
  const auto log = open(task());
  std::filesystem::remove(disk.folder(kId) + "/tail.10");
  EXPECT_EQ(read(log, 10, 4), "tail");
}

TEST_F(OutputLogTest, WhatIsBehindAHoleBetweenSegmentsIsLeftForLater) {
  disk.output(kId, "head");
  disk.segment(kId, 10, "ab");
  disk.segment(kId, 14, "ef");
  EXPECT_EQ(open(task()).size(), 12);
}

TEST_F(OutputLogTest, L24_AfterTheEndTheMarkerIsNoPartOfTheStream) {
  disk.output(kId, "head" + marker(6) + "tail");
  const auto log = open(truncated(4, 6));
  EXPECT_EQ(log.size(), 14);
  EXPECT_EQ(log.dropped(), 6);
  EXPECT_EQ(read(log, 0, 100), "head");
  EXPECT_EQ(next_offset(log, 4), "10");
  EXPECT_EQ(read(log, 10, 100), "tail");
  EXPECT_EQ(read(log, 12, 1), "i");
}

TEST_F(OutputLogTest, L24_OffsetsAreTheSameBeforeAndAfterTheEnd) {
  disk.output(kId, "head");
  disk.segment(kId, 10, "tail");
  const std::string before = read(open(task()), 11, 3);
  std::filesystem::remove(disk.folder(kId) + "/tail.10");
  disk.output(kId, "head" + marker(6) + "tail");
  EXPECT_EQ(read(open(truncated(4, 6)), 11, 3), before);
}

TEST_F(OutputLogTest, TheMarkersNumberBeatsARecordThatWasWrittenBeforeTheLeftoversEnded) {
  disk.output(kId, "head" + marker(20) + "tail");
  const auto log = open(truncated(4, 6));
  EXPECT_EQ(log.size(), 28);
  EXPECT_EQ(read(log, 24, 4), "tail");
}

TEST_F(OutputLogTest, WhatTheCommandPrintedLikeAMarkerIsOutput) {
  const std::string bytes = "a" + marker(6) + "b";
  disk.output(kId, bytes);
  EXPECT_EQ(read(open(task(Status::completed)), 0, 100), bytes);
}

TEST_F(OutputLogTest, L24_TheBudgetStopKeepsTheBeginningOnly) {
  disk.output(kId, "head");
  const auto log = open(truncated(4, 6));
  EXPECT_EQ(log.size(), 10);
  EXPECT_EQ(log.dropped(), 6);
  EXPECT_EQ(next_offset(log, 4), "10");
  EXPECT_EQ(read(log, 10, 1), "");
}

TEST_F(OutputLogTest, SegmentsOfARunnerThatWasKilledAreReadAsTheyAre) {
  disk.output(kId, "head");
  disk.segment(kId, 10, "tail");
  const auto log = open(task(Status::lost));
  EXPECT_EQ(log.size(), 14);
  EXPECT_EQ(read(log, 10, 4), "tail");
}

TEST_F(OutputLogTest, ARunnerKilledWhileItJoinedTheSegmentsLosesNothing) {
  disk.output(kId, "head" + marker(6) + "ta");
  disk.segment(kId, 10, "tail");
  disk.segment(kId, 14, "more");
  const auto log = open(task(Status::lost));
  EXPECT_EQ(log.size(), 18);
  EXPECT_EQ(log.dropped(), 6);
  EXPECT_EQ(read(log, 0, 100), "head");
  EXPECT_EQ(read(log, 10, 100), "tailmore");
}

TEST_F(OutputLogTest, ARunnerKilledWhileItJoinedSegmentsWithoutDroppingLosesNothing) {
  disk.output(kId, "headta");
  disk.segment(kId, 4, "tail");
  EXPECT_EQ(read(open(task(Status::lost)), 0, 100), "headtail");
}

TEST_F(OutputLogTest, TextLikeAMarkerIsNotTakenForOneThatDoesNotFitTheSegments) {
  const std::string head = "a" + marker(7000) + "b";
  disk.output(kId, head);
  disk.segment(kId, 1000, "tail");
  EXPECT_EQ(read(open(task(Status::lost)), 0, 500), head);
}

TEST_F(OutputLogTest, ALinkIsNotFollowed) {
  disk.write(disk.path() + "/secret", "secret");
  disk.make(disk.folder(kId));
  std::filesystem::create_symlink(disk.path() + "/secret", disk.folder(kId) + "/output.log");
  EXPECT_FALSE(OutputLog::open(disk.session(), task()).has_value());
  EXPECT_EQ(output_log_path(disk.session(), task()), std::nullopt);
}

TEST_F(OutputLogTest, AFifoIsRefusedAtOnce) {
  disk.make(disk.folder(kId));
  ASSERT_EQ(::mkfifo((disk.folder(kId) + "/output.log").c_str(), 0600), 0);
  EXPECT_FALSE(OutputLog::open(disk.session(), task()).has_value());
}

TEST_F(OutputLogTest, AnAgentsOwnTaskHasItsLogBesideItsRecord) {
  Task foreign = task();
  foreign.found.source = disk.path() + "/agents/main/tasks/" + kId + ".json";
  disk.write(disk.path() + "/agents/main/tasks/" + kId + "/output.log", "theirs");
  EXPECT_EQ(read(open(foreign), 0, 100), "theirs");
}

TEST_F(OutputLogTest, ATaskOfTheOldestShapeHasItsLogInsideItsFolder) {
  Task oldest = task();
  oldest.found.shape = Shape::kimi_cli;
  oldest.found.source = disk.folder(kId) + "/spec.json";
  disk.output(kId, "oldest");
  EXPECT_EQ(output_log_path(disk.session(), oldest), disk.folder(kId) + "/output.log");
  EXPECT_EQ(read(open(oldest), 0, 100), "oldest");
}

TEST_F(OutputLogTest, TheTailIsTheLastBytes) {
  disk.output(kId, "0123456789");
  const auto window = open(task()).tail(4);
  EXPECT_EQ(window.begin, 6);
  EXPECT_EQ(window.end, 10);
  EXPECT_TRUE(window.cut);
}

TEST_F(OutputLogTest, ATailNeverReachesAcrossDroppedBytes) {
  disk.output(kId, "head" + marker(6) + "tail");
  const auto window = open(truncated(4, 6)).tail(100);
  EXPECT_EQ(window.begin, 10);
  EXPECT_EQ(window.end, 14);
  EXPECT_FALSE(window.cut);
}

TEST_F(OutputLogTest, ATailReachesOverSegmentsThatFollowEachOther) {
  disk.output(kId, "head");
  disk.segment(kId, 4, "56");
  disk.segment(kId, 6, "78");
  EXPECT_EQ(open(task()).tail(100).begin, 0);
}

TEST_F(OutputLogTest, ATailOfNothingIsNothing) {
  disk.output(kId, "0123");
  const auto window = open(task()).tail(0);
  EXPECT_EQ(window.begin, 4);
  EXPECT_EQ(window.end, 4);
}

TEST_F(OutputLogTest, TheSizeCountsDroppedBytes) {
  disk.output(kId, "head" + marker(6) + "tail");
  EXPECT_EQ(output_size(disk.session(), truncated(4, 6)), 14);
}

}  // namespace
}  // namespace perdure::store
