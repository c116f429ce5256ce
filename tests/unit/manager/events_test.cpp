#include "manager/watch/events.h"

#include "base/clock.h"
#include "base/utf8.h"
#include "unit/hand_made_session.h"

#include <poll.h>
#include <sys/resource.h>

#include <gtest/gtest.h>

#include <atomic>
#include <string>
#include <thread>

namespace perdure {
namespace {

constexpr const char* kId = "bash-00000001";
constexpr const char* kOther = "bash-00000002";
constexpr int kBoundMs = 10'000;

class EventsTest : public ::testing::Test {
 protected:
  // Events in short: "started bash-00000001 11".
  static std::vector<std::string> in_short(const std::vector<Event>& events) {
    std::vector<std::string> lines;
    for (const auto& event : events) {
      const char* const type = event.type == EventType::started   ? "started"
                               : event.type == EventType::updated ? "updated"
                                                                  : "terminated";
      lines.push_back(fmt::format("{} {} {}", type, event.task.id.str(), event.seq));
    }
    return lines;
  }
  static bool is_readable(int fd, int timeout_ms = 0) {
    pollfd readable{.fd = fd, .events = POLLIN, .revents = 0};
    return ::poll(&readable, 1, timeout_ms) == 1;
  }
  std::vector<std::string> read() { return in_short(watch.read().value()); }

  testing::HandMadeSession disk;
  manager::EventWatch watch{disk.session()};
};

using Lines = std::vector<std::string>;

TEST_F(EventsTest, TheFirstReadStartsTheWatchAndReturnsNothing) {
  disk.own(kId, "completed", R"("startedSeq":11,"endedSeq":12)");
  EXPECT_EQ(read(), Lines());
}

TEST_F(EventsTest, L47_WatchingASessionThatDoesNotExistMakesNothing) {
  EXPECT_EQ(read(), Lines());
  EXPECT_FALSE(disk.exists(disk.path()));
}

TEST_F(EventsTest, AStartIsToldOnce) {
  EXPECT_EQ(read(), Lines());
  disk.own(kId, "running", R"("startedSeq":11)");
  EXPECT_EQ(read(), Lines{"started bash-00000001 11"});
  EXPECT_EQ(read(), Lines());
}

TEST_F(EventsTest, AnEndIsToldOnce) {
  disk.own(kId, "running", R"("startedSeq":11)");
  EXPECT_EQ(read(), Lines());
  disk.own(kId, "completed", R"("startedSeq":11,"endedSeq":12)");
  EXPECT_EQ(read(), Lines{"terminated bash-00000001 12"});
  EXPECT_EQ(read(), Lines());
}

TEST_F(EventsTest, ATaskThatRanBetweenTwoReadsGivesBothEvents) {
  EXPECT_EQ(read(), Lines());
  disk.own(kId, "running", R"("startedSeq":11)");
  disk.own(kId, "completed", R"("startedSeq":11,"endedSeq":12)");
  EXPECT_EQ(read(), (Lines{"started bash-00000001 11", "terminated bash-00000001 12"}));
}

TEST_F(EventsTest, AStartThatIsToldLateShowsTheTaskAsItStarted) {
  static_cast<void>(watch.read());
  disk.own(kId, "completed", R"("startedSeq":11,"endedSeq":12)");
  const auto events = watch.read().value();
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0].task.status, Status::running);
  EXPECT_EQ(ms_of(events[0].task.ended_at), std::nullopt);
  EXPECT_EQ(events[1].task.status, Status::completed);
}

TEST_F(EventsTest, EventsComeInTheOrderOfTheirSeq) {
  EXPECT_EQ(read(), Lines());
  disk.own(kOther, "completed", R"("startedSeq":11,"endedSeq":14)");
  disk.own(kId, "completed", R"("startedSeq":12,"endedSeq":13)");
  EXPECT_EQ(read(), (Lines{"started bash-00000002 11", "started bash-00000001 12", "terminated bash-00000001 13",
                           "terminated bash-00000002 14"}));
}

TEST_F(EventsTest, TheDescriptorIsReadableExactlyWhileSomethingIsUnread) {
  disk.make(disk.tasks());
  const int fd = watch.fd().value();
  EXPECT_FALSE(is_readable(fd));
  disk.own(kId, "running", R"("startedSeq":11)");
  EXPECT_TRUE(is_readable(fd, kBoundMs));
  EXPECT_EQ(read(), Lines{"started bash-00000001 11"});
  EXPECT_FALSE(is_readable(fd));
}

TEST_F(EventsTest, WhatHappensAfterTheDescriptorWasAskedForIsTold) {
  static_cast<void>(watch.fd());
  disk.own(kId, "running", R"("startedSeq":11)");
  EXPECT_EQ(read(), Lines{"started bash-00000001 11"});
}

TEST_F(EventsTest, ASessionThatIsMadeLaterWakes) {
  const int fd = watch.fd().value();
  disk.own(kId, "running", R"("startedSeq":11)");
  EXPECT_TRUE(is_readable(fd, kBoundMs));
  EXPECT_EQ(read(), Lines{"started bash-00000001 11"});
  disk.own(kId, "completed", R"("startedSeq":11,"endedSeq":12)");
  EXPECT_TRUE(is_readable(fd, kBoundMs));
  EXPECT_EQ(read(), Lines{"terminated bash-00000001 12"});
}

TEST_F(EventsTest, ATasksFolderThatIsMadeLaterWakes) {
  disk.make(disk.path());
  const int fd = watch.fd().value();
  disk.make(disk.tasks());
  EXPECT_TRUE(is_readable(fd, kBoundMs));
  EXPECT_EQ(read(), Lines());
  disk.own(kId, "running", R"("startedSeq":11)");
  EXPECT_EQ(read(), Lines{"started bash-00000001 11"});
}

TEST_F(EventsTest, L22_AnAgentsOwnFolderIsWatchedFromItsFirstMoment) {
  disk.make(disk.tasks());
  const int fd = watch.fd().value();
  disk.record(disk.path() + "/agents/agent-0/tasks", kId, "running", "");
  EXPECT_TRUE(is_readable(fd, kBoundMs));
  EXPECT_EQ(read(), Lines{"started bash-00000001 0"});
  disk.record(disk.path() + "/agents/agent-0/tasks", kId, "completed", "");
  EXPECT_TRUE(is_readable(fd, kBoundMs));
  EXPECT_EQ(read(), Lines{"terminated bash-00000001 0"});
}

TEST_F(EventsTest, ARecordOfAnotherProgramHasNoSeqAndIsToldWhileWatched) {
  EXPECT_EQ(read(), Lines());
  disk.foreign(kId, "completed");
  EXPECT_EQ(read(), (Lines{"started bash-00000001 0", "terminated bash-00000001 0"}));
}

TEST_F(EventsTest, L42_AForegroundTaskThatWasNeverDetachedSendsNothing) {
  EXPECT_EQ(read(), Lines());
  disk.own(kId, "running", R"("detached":false,"startedSeq":11)");
  disk.own(kId, "completed", R"("detached":false,"startedSeq":11,"endedSeq":12)");
  EXPECT_EQ(read(), Lines());
}

TEST_F(EventsTest, L42_AForegroundTaskHasStartedWhenItIsDetached) {
  EXPECT_EQ(read(), Lines());
  disk.foreign(kId, "running", R"("detached":false)");
  EXPECT_EQ(read(), Lines());
  disk.foreign(kId, "running", R"("detached":true)");
  EXPECT_EQ(read(), Lines{"started bash-00000001 0"});
}

TEST_F(EventsTest, ANewDeadlineIsAnUpdate) {
  disk.own(kId, "running", R"("startedSeq":11)");
  EXPECT_EQ(read(), Lines());
  disk.own(kId, "running", R"("startedSeq":11,"timeoutMs":5000)");
  EXPECT_EQ(read(), Lines{"updated bash-00000001 0"});
}

TEST_F(EventsTest, L20_AMalformedRecordSendsNothing) {
  disk.make(disk.tasks());
  EXPECT_EQ(read(), Lines());
  disk.write(disk.record_path(kId), "{");
  EXPECT_EQ(read(), Lines());
}

TEST_F(EventsTest, TemporariesAndStrangeNamesWakeNobodyForNothingTwice) {
  disk.make(disk.tasks());
  const int fd = watch.fd().value();
  disk.write(disk.tasks() + "/.bash-00000001.json.1.1.tmp", "{");
  EXPECT_EQ(read(), Lines());
  EXPECT_FALSE(is_readable(fd));
}

TEST_F(EventsTest, L26_TheTailOfAnEndedTaskIsValidUtf8AndAtMost1024Bytes) {
  static_cast<void>(watch.read());
  disk.output(kId, std::string(2000, '\xFF'));
  disk.own(kId, "completed", R"("startedSeq":11,"endedSeq":12)");
  const auto events = watch.read().value();
  ASSERT_EQ(events.size(), 2U);
  EXPECT_TRUE(events[0].output_tail.empty());
  EXPECT_TRUE(is_valid_utf8(events[1].output_tail));
  EXPECT_LE(events[1].output_tail.size(), 1024U);
  EXPECT_GT(events[1].output_tail.size(), 1000U);
}

TEST_F(EventsTest, EveryEventGoesToExactlyOneOfSeveralReaders) {
  EXPECT_EQ(read(), Lines());
  constexpr int kTasks = 40;
  std::atomic<int> told{0};
  const auto reader = [&] {
    const int fd = watch.fd().value();
    while (told < 2 * kTasks && is_readable(fd, 100)) told += static_cast<int>(watch.read().value().size());
  };
  for (int i = 0; i < kTasks; ++i)
    disk.own(fmt::format("bash-{:08}", i), "completed", R"("startedSeq":1,"endedSeq":2)");
  std::thread one(reader);
  std::thread other(reader);
  one.join();
  other.join();
  EXPECT_EQ(told, 2 * kTasks);
}

TEST_F(EventsTest, WithoutInotifyATimerHasTheRecordsLookedThrough) {
  manager::EventWatch timed(disk.session(), false);
  const int fd = timed.fd().value();
  disk.own(kId, "running", R"("startedSeq":11)");
  EXPECT_TRUE(is_readable(fd, kBoundMs));
  EXPECT_EQ(in_short(timed.read().value()), Lines{"started bash-00000001 11"});
}

TEST_F(EventsTest, AnOverflowOfTheQueueLosesNothing) {
  std::string limit;
  std::ifstream("/proc/sys/fs/inotify/max_queued_events") >> limit;
  const int most = std::stoi(limit);
  if (most > 100'000) GTEST_SKIP() << "the queue is too long to be filled in time";
  disk.make(disk.tasks());
  EXPECT_EQ(read(), Lines());
  // Two names in turn: the kernel folds equal events that follow each other into one.
  disk.write(disk.tasks() + "/a", "");
  for (int i = 0; i <= most; ++i) {
    ASSERT_EQ(std::rename((disk.tasks() + (i % 2 == 0 ? "/a" : "/b")).c_str(),
                          (disk.tasks() + (i % 2 == 0 ? "/b" : "/a")).c_str()),
              0);
  }
  disk.own(kId, "running", R"("startedSeq":11)");
  EXPECT_EQ(read(), Lines{"started bash-00000001 11"});
}

TEST_F(EventsTest, SinceZeroGivesAllThatTheRecordsStillTell) {
  disk.own(kId, "completed", R"("startedSeq":11,"endedSeq":13)");
  disk.own(kOther, "running", R"("startedSeq":12)");
  EXPECT_EQ(in_short(disk.manager().events().since(0).value()),
            (Lines{"started bash-00000001 11", "started bash-00000002 12", "terminated bash-00000001 13"}));
}

TEST_F(EventsTest, SinceASeqGivesOnlyWhatIsBehindIt) {
  disk.own(kId, "completed", R"("startedSeq":11,"endedSeq":13)");
  disk.own(kOther, "running", R"("startedSeq":12)");
  EXPECT_EQ(in_short(disk.manager().events().since(12).value()), Lines{"terminated bash-00000001 13"});
}

TEST_F(EventsTest, RecordsOfOtherProgramsAreNoHistory) {
  disk.foreign(kId, "completed");
  EXPECT_EQ(in_short(disk.manager().events().since(0).value()), Lines());
}

}  // namespace
}  // namespace perdure
