#include "manager/surroundings.h"
#include "unit/hand_made_session.h"

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
    const auto findings = disk.manager().doctor().value();
    for (const auto& finding : findings)
      if (finding.what == what) text += (finding.level == Level::note ? "note: " : "problem: ") + finding.text + "\n";
    return text;
  }
  testing::HandMadeSession disk;
};

TEST_F(DoctorTest, L47_ASessionThatDoesNotExistIsOneNoteAndStaysAway) {
  const auto findings = disk.manager().doctor().value();
  ASSERT_EQ(findings.size(), 1U);
  EXPECT_EQ(findings[0].level, Level::note);
  EXPECT_FALSE(disk.exists(disk.path()));
}

TEST_F(DoctorTest, AHealthySessionHasNoProblem) {
  disk.own(kId, "completed");
  const auto findings = disk.manager().doctor().value();
  EXPECT_TRUE(std::ranges::none_of(findings, [](const Finding& found) { return found.level == Level::problem; }));
}

TEST_F(DoctorTest, L20_AMalformedRecordIsAProblemWithItsPathAndReason) {
  disk.own(kId, "running", R"("timeoutMs":"soon")");
  EXPECT_THAT(about(disk.record_path(kId)), HasSubstr("timeoutMs"));
  EXPECT_THAT(about(disk.record_path(kId)), HasSubstr("problem: "));
}

TEST_F(DoctorTest, ARecordThatAnAgentsOwnHidesIsNamed) {
  disk.own(kId, "completed");
  disk.record(disk.path() + "/agents/main/tasks", kId, "completed", "");
  EXPECT_THAT(about(disk.record_path(kId)), HasSubstr("note: is not read: " + disk.path() + "/agents/main/tasks/"));
}

TEST_F(DoctorTest, AnAgentsOwnRecordHidesTheOtherAlsoWhenItIsUnreadable) {
  disk.own(kId, "completed");
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
  static_cast<void>(disk.manager().doctor());
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
  const auto manager =
      TaskManager::open({.session = disk.path(), .runner = "/nowhere/perdure-runner", .max_running_tasks = {}});
  const auto findings = manager->doctor().value();
  EXPECT_TRUE(std::ranges::any_of(
      findings, [](const Finding& found) { return found.level == Level::problem && found.what == "perdure-runner"; }));
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
