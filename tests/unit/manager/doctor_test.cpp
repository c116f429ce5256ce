#include "contract/launch_spec.h"
#include "manager/upkeep/host_checks.h"
#include "unit/hand_made_session.h"

#include <linux/fs.h>
#include <sys/ioctl.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace perdure {
namespace {

using ::testing::HasSubstr;
using Level = Finding::Level;

constexpr const char* kId = "bash-00000001";

class DoctorTest : public ::testing::Test {
 protected:
  // What is said of `what`, joined; "note: ..." or "problem: ...".
  [[nodiscard]] std::string about(const std::string& what) const {
    std::string text;
    for (const auto& finding : findings())
      if (finding.what == what) text += (finding.level == Level::note ? "note: " : "problem: ") + finding.text + "\n";
    return text;
  }
  [[nodiscard]] std::vector<Finding> findings(const std::string& runner = PERDURE_BIN_DIR "/perdure-runner") const {
    const auto manager = TaskManager::open({.session = disk.path(), .runner = runner, .max_running_tasks = {}});
    return manager->upkeep().doctor().value();
  }
  testing::HandMadeSession disk;
};

TEST_F(DoctorTest, L47_ASessionThatDoesNotExistIsOneNoteAndStaysAway) {
  const auto found = findings();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].level, Level::note);
  EXPECT_FALSE(disk.exists(disk.path()));
}

TEST_F(DoctorTest, AHealthySessionHasNoProblem) {
  disk.own(kId, "completed");
  const auto found = findings();
  EXPECT_TRUE(std::ranges::none_of(found, [](const Finding& one) { return one.level == Level::problem; }));
}

TEST_F(DoctorTest, L20_AMalformedRecordIsAProblemWithItsPathAndReason) {
  disk.own(kId, "running", R"("timeoutMs":"soon")");
  EXPECT_THAT(about(disk.record_path(kId)), HasSubstr("timeoutMs"));
  EXPECT_THAT(about(disk.record_path(kId)), HasSubstr("problem: "));
}

TEST_F(DoctorTest, L54_ACopyOfOurRecordThatSaysOtherwiseIsAProblem) {
  disk.own(kId, "completed");
  const std::string folder = disk.path() + "/agents/main/tasks";
  disk.record(folder, kId, "lost", "");
  EXPECT_THAT(about(folder + "/" + kId + ".json"), HasSubstr("problem: is not what holds of " + std::string(kId)));
  EXPECT_EQ(about(disk.record_path(kId)), "");
}

TEST_F(DoctorTest, ARecordThatAnAgentsOwnHidesIsNamed) {
  disk.record(disk.path() + "/tasks", kId, "completed", "");
  disk.record(disk.path() + "/agents/main/tasks", kId, "completed", "");
  EXPECT_THAT(about(disk.record_path(kId)), HasSubstr("note: is not read: " + disk.path() + "/agents/main/tasks/"));
}

TEST_F(DoctorTest, AnAgentsOwnRecordHidesTheOtherAlsoWhenItIsUnreadable) {
  disk.record(disk.path() + "/tasks", kId, "completed", "");
  const std::string winner = disk.path() + "/agents/main/tasks/" + kId + ".json";
  disk.write(winner, "{");
  EXPECT_THAT(about(winner), HasSubstr("problem: "));
  EXPECT_THAT(about(disk.record_path(kId)), HasSubstr("note: is not read"));
}

TEST_F(DoctorTest, L39_ALostTaskIsNamedWithItsEvidence) {
  disk.own(kId, "lost", R"("lostEvidence":"rebooted")");
  EXPECT_THAT(about(kId), HasSubstr("note: is lost; evidence: rebooted"));
}

TEST_F(DoctorTest, ATaskWhoseRunnerIsGoneIsWhatReconcileWouldChange) {
  disk.own(kId, "running");
  EXPECT_THAT(about(kId), HasSubstr("note: its record says running, but it is lost, evidence: runner_killed"));
}

TEST_F(DoctorTest, L38_TheDoctorWritesNoRecord) {
  disk.own(kId, "running");
  static_cast<void>(disk.manager().upkeep().doctor());
  EXPECT_EQ(disk.manager().list().value().size(), 0U);
  std::ifstream file(disk.record_path(kId));
  EXPECT_THAT(std::string(std::istreambuf_iterator<char>(file), {}), HasSubstr(R"("status":"running")"));
}

TEST_F(DoctorTest, ATaskWithALivingRunnerIsNoFinding) {
  disk.own(kId, "running");
  const Fd runner = disk.hold(kId);
  EXPECT_EQ(about(kId), "");
}

TEST_F(DoctorTest, ATaskThatCannotBeVerifiedIsNoted) {
  disk.foreign(kId, "running");
  EXPECT_THAT(about(kId), HasSubstr("can't be verified"));
}

TEST_F(DoctorTest, LivingSurvivorsAreAProblem) {
  disk.own(kId, "killed", fmt::format(R"("survivors":[{}])", ::getpid()));
  EXPECT_THAT(about(kId), HasSubstr("problem: processes outlived SIGKILL: " + std::to_string(::getpid())));
}

TEST_F(DoctorTest, SurvivorsThatAreGoneAreOnlyNoted) {
  disk.own(kId, "killed", R"("survivors":[999999999])");
  EXPECT_THAT(about(kId), HasSubstr("note: processes outlived SIGKILL: 999999999"));
}

TEST_F(DoctorTest, LeftoversAreNoted) {
  disk.own(kId, "completed", R"("leftovers":1)");
  const Fd leftovers = disk.hold(kId, "leftover.lock");
  EXPECT_THAT(about(kId), HasSubstr("note: has ended; processes that it left behind run on"));
}

TEST_F(DoctorTest, L25_OutputThatTheDiskRefusedIsNoted) {
  disk.own(kId, "completed", R"("unstoredBytes":7)");
  EXPECT_THAT(about(kId), HasSubstr("note: 7 bytes of its output were refused by the disk"));
}

TEST_F(DoctorTest, AnEndBeforeTheStartIsASteppedClock) {
  disk.ended_ms = disk.started_ms - 5;
  disk.own(kId, "completed");
  EXPECT_THAT(about(kId), HasSubstr("note: ended 5 ms before it started"));
}

TEST_F(DoctorTest, AFolderWithoutARecordIsNotedOnceItIsOld) {
  disk.output(kId, "x");
  EXPECT_EQ(about(disk.folder(kId)), "");
  disk.make_old(disk.folder(kId) + "/output.log");
  disk.make_old(disk.folder(kId));
  EXPECT_THAT(about(disk.folder(kId)), HasSubstr("note: is the folder of a task without a record"));
}

TEST_F(DoctorTest, ASessionThatOthersMayReadIsNoted) {
  disk.own(kId, "completed");
  std::filesystem::permissions(disk.path(), std::filesystem::perms(0755));
  EXPECT_THAT(about(disk.path()), HasSubstr("note: others may read or change it (mode 755)"));
}

TEST_F(DoctorTest, DiskUseAndFreeSpaceAreTold) {
  disk.own(kId, "completed");
  EXPECT_THAT(about(disk.path()), HasSubstr("are free on its disk"));
}

TEST_F(DoctorTest, AMissingRunnerIsAProblem) {
  disk.own(kId, "completed");
  const auto found = findings("/nowhere/perdure-runner");
  EXPECT_TRUE(std::ranges::any_of(
      found, [](const Finding& one) { return one.level == Level::problem && one.what == "perdure-runner"; }));
}

// A program that answers `--version` with these words.
class OtherRunnerTest : public DoctorTest {
 protected:
  [[nodiscard]] std::string said_of(const std::string& script) const {
    const std::string program = disk.path() + "/a-runner";
    disk.write(program, "#!/bin/sh\n" + script + "\n");
    std::filesystem::permissions(program, std::filesystem::perms::owner_all);
    std::string text;
    for (const auto& finding : findings(program))
      if (finding.what == "perdure-runner" && finding.level == Level::problem) text += finding.text;
    return text;
  }
};

TEST_F(OtherRunnerTest, ARunnerOfAnotherVersionIsAProblem) {
  disk.own(kId, "completed");
  EXPECT_THAT(said_of("echo perdure-runner 0.0.1 launch 1"), HasSubstr("is 'perdure-runner 0.0.1 launch 1', not '"));
}

TEST_F(OtherRunnerTest, WhatSaysNothingIsNoRunner) {
  disk.own(kId, "completed");
  EXPECT_THAT(said_of("exit 0"), HasSubstr("no perdure-runner"));
}

TEST_F(OtherRunnerTest, WhatNeverAnswersIsNotWaitedForLong) {
  disk.own(kId, "completed");
  EXPECT_THAT(said_of("exec sleep 300"), HasSubstr("no perdure-runner"));
}

TEST_F(DoctorTest, ATimeInTheFutureIsAClockThatStepped) {
  disk.started_ms += 600'000;
  disk.ended_ms = disk.started_ms;
  disk.own(kId, "completed");
  EXPECT_THAT(about(kId), HasSubstr("minutes from now: the clock was set back since"));
}

TEST_F(DoctorTest, ASlotThatIsHeldForATaskWithoutARunnerIsAProblem) {
  disk.own(kId, "completed");
  disk.write(disk.path() + "/slots/0", std::string(kId) + "\n");
  const Fd slot(::open((disk.path() + "/slots/0").c_str(), O_RDWR | O_CLOEXEC));
  EXPECT_EQ(about(disk.path() + "/slots/0"), "") << "a free slot";
  EXPECT_TRUE(try_lock(slot.get(), "slot").value());
  EXPECT_THAT(about(disk.path() + "/slots/0"), HasSubstr("problem: is held for " + std::string(kId)));
  const Fd runner = disk.hold(kId);
  EXPECT_EQ(about(disk.path() + "/slots/0"), "") << "its task has a runner";
}

TEST_F(DoctorTest, WhatIsNoSlotIsNoted) {
  disk.write(disk.path() + "/slots/mine", "");
  EXPECT_THAT(about(disk.path() + "/slots/mine"), HasSubstr("note: is not a slot"));
}

TEST_F(DoctorTest, APlaceInTheQueueThatCannotBeReadIsAProblem) {
  const std::string entry = disk.path() + "/queue/999-0000000000000001-" + kId + ".json";
  disk.write(entry, "{");
  EXPECT_THAT(about(entry), HasSubstr("it will never start"));
}

TEST_F(DoctorTest, APlaceInTheQueueOfAnotherVersionIsAProblem) {
  disk.own(kId, "running");
  std::ifstream file(disk.record_path(kId));
  const std::string record(std::istreambuf_iterator<char>(file), {});
  std::filesystem::remove(disk.record_path(kId));
  const auto queued = [&](int version) {
    disk.write(disk.path() + "/queue/999-0000000000000001-" + kId + ".json",
               fmt::format(R"({{"format":1,"task":{},"specVersion":{},"spec":"AAAA"}})", record, version));
  };
  queued(0);
  EXPECT_THAT(about(kId), HasSubstr("problem: waits, but another version of Perdure queued it"));
  queued(contract::kSpecVersion);
  EXPECT_THAT(about(kId), HasSubstr("waits, but this user has not signed it"));
  const Fd runner = disk.hold(kId);
  EXPECT_EQ(about(kId), "");
}

TEST_F(DoctorTest, L32_EndingsThatNobodyWasToldOfAreCounted) {
  disk.ended_ms = disk.started_ms = now_ms() - 300'000;
  disk.own(kId, "completed", R"("owner":"a")");
  disk.own("bash-00000002", "completed");
  disk.write(disk.path() + "/outbox/" + kId, "");
  disk.write(disk.path() + "/outbox/bash-00000002", "");
  disk.write(disk.path() + "/outbox/A b", "");
  EXPECT_THAT(about(disk.path() + "/outbox"), HasSubstr("note: undelivered notifications: 1,"));
  EXPECT_THAT(about(disk.path() + "/outbox"), HasSubstr("for 5 minutes"));
  EXPECT_THAT(about(disk.path() + "/outbox/A b"), HasSubstr("does not name a task"));
}

// Root may remove whatever is not immutable, others what they may write to.
class UnremovableTest : public DoctorTest {
 protected:
  UnremovableTest() {
    disk.own(kId, "completed");
    disk.output(kId, "x");
  }
  UnremovableTest(const UnremovableTest&) = delete;
  UnremovableTest& operator=(const UnremovableTest&) = delete;
  ~UnremovableTest() override { protect(false); }
  bool protect(bool on) const {
    if (::geteuid() != 0) return ::chmod(disk.folder(kId).c_str(), on ? 0500 : 0700) == 0;
    const Fd folder(::open(disk.folder(kId).c_str(), O_RDONLY | O_CLOEXEC));
    int flags = 0;
    if (::ioctl(folder.get(), FS_IOC_GETFLAGS, &flags) != 0) return false;
    flags = on ? flags | FS_IMMUTABLE_FL : flags & ~FS_IMMUTABLE_FL;
    return ::ioctl(folder.get(), FS_IOC_SETFLAGS, &flags) == 0;
  }
};

TEST_F(UnremovableTest, AFolderThatCannotBeRemovedIsAProblemWithItsCure) {
  EXPECT_EQ(about(disk.folder(kId)), "");
  if (!protect(true)) GTEST_SKIP() << "this file system has no flags";
  EXPECT_THAT(about(disk.folder(kId)), HasSubstr("problem: can't be removed with its task"));
  EXPECT_THAT(about(disk.folder(kId)), HasSubstr(::geteuid() == 0 ? "chattr -i" : "chmod u+rwx"));
}

TEST_F(DoctorTest, LogindIsAskedInTheOrderInWhichItReads) {
  const std::string folder = disk.path();
  disk.make(folder);
  EXPECT_FALSE(manager::kills_user_processes(folder));
  disk.write(folder + "/logind.conf", "[Login]\n#KillUserProcesses=no\n KillUserProcesses = yes\n");
  EXPECT_TRUE(manager::kills_user_processes(folder));
  disk.write(folder + "/logind.conf.d/20-b.conf", "[Login]\nKillUserProcesses=no");
  EXPECT_FALSE(manager::kills_user_processes(folder));
  disk.write(folder + "/logind.conf.d/30-c.conf", "KillUserProcesses=yes");
  EXPECT_TRUE(manager::kills_user_processes(folder));
}

}  // namespace
}  // namespace perdure
