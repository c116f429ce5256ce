#include "unit/hand_made_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace perdure {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr const char* kId = "bash-00000001";

class RetentionTest : public ::testing::Test {
 protected:
  // An ended task of ours with a log of one disk block or so.
  void ended(const std::string& name, std::int64_t ago_ms) {
    disk.ended_ms = now_ms() - ago_ms;
    disk.own(name, "completed");
    disk.output(name, "output");
  }
  std::vector<std::string> collect(const RetentionOptions& options) {
    removed = disk.manager().upkeep().collect_garbage(options).value();
    std::vector<std::string> ids;
    for (const auto& task : removed.tasks) ids.push_back(task.str());
    return ids;
  }
  static ErrorCode code(const Result<void>& done) { return done ? ErrorCode::usage : done.error().code; }

  testing::HandMadeSession disk;
  TaskId id = testing::HandMadeSession::id(kId);
  GcResult removed;
};

TEST_F(RetentionTest, L47_RemovingAnUnknownTaskMakesNothing) {
  EXPECT_EQ(code(disk.manager().upkeep().remove(id)), ErrorCode::task_not_found);
  EXPECT_FALSE(disk.exists(disk.path()));
}

TEST_F(RetentionTest, RemovingAnEndedTaskTakesItsRecordAndItsLog) {
  ended(kId, 0);
  EXPECT_TRUE(disk.manager().upkeep().remove(id).has_value());
  EXPECT_FALSE(disk.exists(disk.record_path(kId)));
  EXPECT_FALSE(disk.exists(disk.folder(kId)));
}

TEST_F(RetentionTest, RemovingATaskWithoutOutputLeavesNoFolder) {
  disk.own(kId, "completed");
  EXPECT_TRUE(disk.manager().upkeep().remove(id).has_value());
  EXPECT_FALSE(disk.exists(disk.folder(kId)));
}

TEST_F(RetentionTest, ALiveTaskIsNotRemoved) {
  disk.own(kId, "running");
  const Fd runner = disk.hold(kId);
  const auto refused = disk.manager().upkeep().remove(id);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().details.at("running"), kId);
  EXPECT_TRUE(disk.exists(disk.record_path(kId)));
}

TEST_F(RetentionTest, ATaskWhoseRunnerIsStillCommittingIsNotRemoved) {
  ended(kId, 0);
  const Fd runner = disk.hold(kId);
  EXPECT_FALSE(disk.manager().upkeep().remove(id).has_value());
  EXPECT_TRUE(disk.exists(disk.folder(kId) + "/output.log"));
}

TEST_F(RetentionTest, ATaskWithLeftoversIsNotRemoved) {
  ended(kId, 0);
  const Fd leftovers = disk.hold(kId, "leftover.lock");
  const auto refused = disk.manager().upkeep().remove(id);
  ASSERT_FALSE(refused.has_value());
  EXPECT_EQ(refused.error().details.at("running"), kId);
}

TEST_F(RetentionTest, ATaskThatWasLostIsSettledAndRemoved) {
  disk.own(kId, "running");
  EXPECT_TRUE(disk.manager().upkeep().remove(id).has_value());
  EXPECT_FALSE(disk.exists(disk.record_path(kId)));
  EXPECT_FALSE(disk.exists(disk.folder(kId)));
}

TEST_F(RetentionTest, AnEndedTaskOfAnotherProgramIsRemovedByAPersonsWord) {
  disk.foreign(kId, "completed");
  disk.output(kId, "x");
  EXPECT_TRUE(disk.manager().upkeep().remove(id).has_value());
  EXPECT_FALSE(disk.exists(disk.record_path(kId)));
  EXPECT_FALSE(disk.exists(disk.folder(kId)));
}

TEST_F(RetentionTest, ARunningTaskOfAnotherProgramIsNotRemoved) {
  disk.foreign(kId, "running");
  EXPECT_FALSE(disk.manager().upkeep().remove(id).has_value());
  EXPECT_TRUE(disk.exists(disk.record_path(kId)));
}

TEST_F(RetentionTest, L20_AMalformedRecordIsNotRemoved) {
  disk.write(disk.record_path(kId), "{");
  EXPECT_EQ(code(disk.manager().upkeep().remove(id)), ErrorCode::record_invalid);
  EXPECT_TRUE(disk.exists(disk.record_path(kId)));
}

TEST_F(RetentionTest, ATaskOfTheOldestShapeIsRemovedWithItsFolder) {
  disk.write(disk.folder("b1234567") + "/spec.json",
             R"({"version":1,"id":"b1234567","kind":"bash","session_id":"s","description":"d","tool_call_id":"t",)"
             R"("owner_role":"root","created_at":1.0,"command":"true"})");
  disk.write(disk.folder("b1234567") + "/runtime.json", R"({"status":"completed","updated_at":2.0,"finished_at":2.0,)"
                                                        R"("exit_code":0,"interrupted":false,"timed_out":false})");
  EXPECT_TRUE(disk.manager().upkeep().remove(disk.id("b1234567")).has_value());
  EXPECT_TRUE(std::filesystem::is_empty(disk.tasks()));
}

TEST_F(RetentionTest, WithoutAnOptionNoTaskIsRemoved) {
  ended(kId, 1'000'000);
  EXPECT_THAT(collect({}), ElementsAre());
}

TEST_F(RetentionTest, TasksAreRemovedByAgeOldestFirst) {
  ended("bash-00000003", 1'000);
  ended("bash-00000002", 200'000);
  ended("bash-00000001", 100'000);
  EXPECT_THAT(collect({.older_than = 60s}), ElementsAre("bash-00000002", "bash-00000001"));
  EXPECT_TRUE(disk.exists(disk.record_path("bash-00000003")));
  EXPECT_FALSE(disk.exists(disk.record_path("bash-00000002")));
}

TEST_F(RetentionTest, TheNewestAreKeptByNumber) {
  ended("bash-00000001", 3'000);
  ended("bash-00000002", 2'000);
  ended("bash-00000003", 1'000);
  EXPECT_THAT(collect({.keep = 1}), ElementsAre("bash-00000001", "bash-00000002"));
}

TEST_F(RetentionTest, KeepingNoneRemovesAllThatEnded) {
  ended("bash-00000001", 3'000);
  ended("bash-00000002", 2'000);
  EXPECT_EQ(collect({.keep = 0}).size(), 2U);
}

TEST_F(RetentionTest, TheOldestGoWhenAllTogetherAreTooBig) {
  ended("bash-00000001", 3'000);
  ended("bash-00000002", 2'000);
  disk.output("bash-00000002", std::string(100'000, 'x'));
  ended("bash-00000003", 1'000);
  EXPECT_THAT(collect({.max_bytes = 60'000}), ElementsAre("bash-00000002"));
}

TEST_F(RetentionTest, WhatIsGivenBackIsCountedInBlocksOfTheDisk) {
  ended(kId, 1'000);
  disk.output(kId, std::string(100'000, 'x'));
  collect({.keep = 0});
  EXPECT_GE(removed.bytes, 100'000);
  EXPECT_LT(removed.bytes, 200'000);
}

TEST_F(RetentionTest, ADryRunTellsTheSameAndRemovesNothing) {
  ended(kId, 1'000);
  EXPECT_THAT(collect({.keep = 0, .dry_run = true}), ElementsAre(kId));
  const auto bytes = removed.bytes;
  EXPECT_TRUE(disk.exists(disk.record_path(kId)));
  EXPECT_THAT(collect({.keep = 0}), ElementsAre(kId));
  EXPECT_EQ(removed.bytes, bytes);
}

TEST_F(RetentionTest, ALiveTaskIsNeverCollected) {
  disk.own(kId, "running");
  const Fd runner = disk.hold(kId);
  EXPECT_THAT(collect({.older_than = 0ms, .keep = 0, .max_bytes = 0}), ElementsAre());
  EXPECT_TRUE(disk.exists(disk.record_path(kId)));
}

TEST_F(RetentionTest, ATaskWithLeftoversIsKeptAndSaidSo) {
  ended(kId, 1'000);
  const Fd leftovers = disk.hold(kId, "leftover.lock");
  EXPECT_THAT(collect({.keep = 0}), ElementsAre());
  EXPECT_THAT(removed.kept, ElementsAre(HasSubstr(kId)));
  EXPECT_TRUE(disk.exists(disk.folder(kId) + "/output.log"));
}

TEST_F(RetentionTest, L38_RecordsOfOtherProgramsAreNotCollected) {
  disk.foreign(kId, "completed");
  EXPECT_THAT(collect({.older_than = 0ms, .keep = 0}), ElementsAre());
  EXPECT_TRUE(disk.exists(disk.record_path(kId)));
}

// An ending that its owner has not been told of.
class UndeliveredTest : public RetentionTest {
 protected:
  void ended_for(const std::string& name, const std::string& more) {
    disk.ended_ms = now_ms() - 1'000;
    disk.own(name, "completed", more);
    disk.write(disk.path() + "/outbox/" + name, "");
  }
};

TEST_F(UndeliveredTest, L32_ATaskWhoseOwnerHasNotBeenToldIsKeptAndCounted) {
  ended_for(kId, R"("owner":"a")");
  EXPECT_THAT(collect({.keep = 0}), ElementsAre());
  EXPECT_EQ(removed.undelivered, 1);
  EXPECT_TRUE(disk.exists(disk.record_path(kId)));
}

TEST_F(UndeliveredTest, IsRemovedWhereThatIsAskedFor) {
  ended_for(kId, R"("owner":"a")");
  EXPECT_THAT(collect({.keep = 0, .undelivered = true}), ElementsAre(kId));
  EXPECT_EQ(removed.undelivered, 0);
}

TEST_F(UndeliveredTest, WithoutAnOwnerThereIsNobodyToTell) {
  ended_for(kId, "");
  EXPECT_THAT(collect({.keep = 0}), ElementsAre(kId));
}

TEST_F(UndeliveredTest, WhatWasToldAlreadyIsDeliveredWhateverIsLeftInTheOutbox) {
  ended_for(kId, R"("owner":"a","notifiedAt":1,"notifiedVia":"cli")");
  EXPECT_THAT(collect({.keep = 0}), ElementsAre(kId));
}

TEST_F(UndeliveredTest, AnOwnersTaskWithoutAnEntryIsNotKept) {
  disk.own(kId, "completed", R"("owner":"a")");
  EXPECT_THAT(collect({.keep = 0}), ElementsAre(kId));
}

class SweepTest : public RetentionTest {
 protected:
  [[nodiscard]] bool is_due() const { return disk.manager().upkeep().sweep_is_due().value(); }
  void swept(std::int64_t ago_ms) const {
    disk.write(disk.path() + "/swept", "");
    const timespec then{.tv_sec = (now_ms() - ago_ms) / 1000, .tv_nsec = 0};
    const timespec times[2] = {then, then};
    EXPECT_EQ(::utimensat(AT_FDCWD, (disk.path() + "/swept").c_str(), times, 0), 0);
  }
  static constexpr std::int64_t kHourMs = 3'600'000;
};

TEST_F(SweepTest, L47_ASessionThatIsNotThereIsNeverDueAndStaysAway) {
  EXPECT_FALSE(is_due());
  EXPECT_FALSE(disk.exists(disk.path()));
}

TEST_F(SweepTest, TheFirstDayBeginsWithTheFirstStart) {
  disk.make(disk.tasks());
  EXPECT_FALSE(is_due());
  EXPECT_FALSE(is_due());
}

TEST_F(SweepTest, IsDueOnceADay) {
  swept(23 * kHourMs);
  EXPECT_FALSE(is_due());
  swept(25 * kHourMs);
  EXPECT_TRUE(is_due());
  EXPECT_FALSE(is_due());
}

TEST_F(SweepTest, AClockThatWasSetBackDoesNotPutItOff) {
  swept(-1'000 * kHourMs);
  EXPECT_TRUE(is_due());
  EXPECT_FALSE(is_due());
}

TEST_F(SweepTest, IsDueForOneOfThoseWhoAskAtOnce) {
  swept(25 * kHourMs);
  const Fd other(::open((disk.path() + "/swept").c_str(), O_RDWR | O_CLOEXEC));
  EXPECT_TRUE(try_lock(other.get(), "swept").value());
  EXPECT_FALSE(is_due());
}

class LitterTest : public RetentionTest {
 protected:
  void abandoned() {
    disk.output(kId, "x");
    disk.make_old(disk.folder(kId) + "/output.log");
    disk.make_old(disk.folder(kId));
  }
};

TEST_F(LitterTest, AnOldFolderWithoutARecordIsSwept) {
  abandoned();
  collect({});
  EXPECT_EQ(removed.litter, 1);
  EXPECT_GT(removed.bytes, 0);
  EXPECT_FALSE(disk.exists(disk.folder(kId)));
}

TEST_F(LitterTest, AFolderThatIsBeingMadeIntoATaskStays) {
  disk.make(disk.folder(kId));
  collect({});
  EXPECT_EQ(removed.litter, 0);
  EXPECT_TRUE(disk.exists(disk.folder(kId)));
}

TEST_F(LitterTest, AFolderWithALivingRunnerStays) {
  const Fd runner = disk.hold(kId);
  disk.make_old(disk.folder(kId) + "/runner.lock");
  disk.make_old(disk.folder(kId));
  collect({});
  EXPECT_TRUE(disk.exists(disk.folder(kId)));
}

TEST_F(LitterTest, AFolderWithARecentLogStays) {
  abandoned();
  disk.append(disk.folder(kId) + "/output.log", "y");
  disk.make_old(disk.folder(kId));
  collect({});
  EXPECT_TRUE(disk.exists(disk.folder(kId)));
}

TEST_F(LitterTest, AFolderWithUnknownFilesIsSomebodyElses) {
  abandoned();
  disk.write(disk.folder(kId) + "/notes.txt", "mine");
  disk.make_old(disk.folder(kId) + "/notes.txt");
  disk.make_old(disk.folder(kId));
  collect({});
  EXPECT_TRUE(disk.exists(disk.folder(kId)));
}

TEST_F(LitterTest, L20_TheFolderBesideAMalformedRecordStays) {
  abandoned();
  disk.write(disk.record_path(kId), "{");
  collect({});
  EXPECT_TRUE(disk.exists(disk.folder(kId)));
}

TEST_F(LitterTest, ATemporaryOfADeadProcessIsSwept) {
  const std::string file = disk.tasks() + "/.bash-00000001.json.999999999.0.tmp";
  disk.write(file, "half");
  disk.make_old(file);
  collect({});
  EXPECT_EQ(removed.litter, 1);
  EXPECT_FALSE(disk.exists(file));
}

TEST_F(LitterTest, ATemporaryOfALivingProcessStays) {
  const std::string file = fmt::format("{}/.bash-00000001.json.{}.0.tmp", disk.tasks(), ::getpid());
  disk.write(file, "half");
  disk.make_old(file);
  collect({});
  EXPECT_TRUE(disk.exists(file));
}

TEST_F(LitterTest, HiddenFilesOfOtherProgramsStay) {
  for (const char* const name : {"/.tmp", "/.x.tmp", "/.x.y.tmp", "/.x.1.tmp", "/x.999999999.0.tmp"}) {
    disk.write(disk.tasks() + name, "theirs");
    disk.make_old(disk.tasks() + name);
  }
  collect({});
  EXPECT_EQ(removed.litter, 0);
}

TEST_F(LitterTest, TheKeyOfATaskThatIsGoneIsSwept) {
  disk.write(disk.path() + "/keys/6b", std::string(kId) + "\n");
  disk.make(disk.tasks());
  collect({});
  EXPECT_EQ(removed.litter, 1);
  EXPECT_FALSE(disk.exists(disk.path() + "/keys/6b"));
}

TEST_F(LitterTest, L06_TheKeyOfAKnownTaskStays) {
  ended(kId, 0);
  disk.write(disk.path() + "/keys/6b", std::string(kId) + "\n");
  collect({});
  EXPECT_TRUE(disk.exists(disk.path() + "/keys/6b"));
}

TEST_F(LitterTest, L06_TheKeyOfATaskThatIsBeingStartedStays) {
  disk.make(disk.folder(kId));
  disk.write(disk.path() + "/keys/6b", std::string(kId) + "\n");
  collect({});
  EXPECT_TRUE(disk.exists(disk.path() + "/keys/6b"));
}

TEST_F(LitterTest, L06_AKeyThatSomebodyHoldsStays) {
  disk.make(disk.path() + "/keys");
  disk.make(disk.tasks());
  const Fd key(::open((disk.path() + "/keys/6b").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  ASSERT_TRUE(try_lock(key.get(), "key").value());
  collect({});
  EXPECT_TRUE(disk.exists(disk.path() + "/keys/6b"));
}

TEST_F(LitterTest, ADryRunCountsLitterAndSweepsNone) {
  abandoned();
  collect({.dry_run = true});
  EXPECT_EQ(removed.litter, 1);
  EXPECT_TRUE(disk.exists(disk.folder(kId)));
}

}  // namespace
}  // namespace perdure
