#include "far/channel.h"
#include "far/far_task.h"
#include "far/slurm.h"
#include "support/temp_folder.h"

#include <gtest/gtest.h>

#include <fstream>

namespace perdure::far {
namespace {

TEST(Slurm, EveryUnknownWordLeavesTheTaskRunning) {
  for (const auto* word :
       {"RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING", "", "NEW"})
    EXPECT_EQ(phase_of(word), JobPhase::running) << word;
}

TEST(Slurm, StatesMeanWhatTheTableOfTheGuideSays) {
  EXPECT_EQ(phase_of("PENDING"), JobPhase::waiting);
  EXPECT_EQ(phase_of("REQUEUED"), JobPhase::waiting);
  EXPECT_EQ(phase_of("CANCELLED"), JobPhase::cancelled);
  EXPECT_EQ(phase_of("DEADLINE"), JobPhase::cancelled);
  EXPECT_EQ(phase_of("BOOT_FAIL"), JobPhase::failed);
  EXPECT_EQ(phase_of("COMPLETED"), JobPhase::failed);
  EXPECT_EQ(phase_of("TIMEOUT"), JobPhase::timed_out);
  EXPECT_EQ(phase_of("PREEMPTED"), JobPhase::preempted);
  EXPECT_EQ(phase_of("OUT_OF_MEMORY"), JobPhase::out_of_memory);
  EXPECT_EQ(phase_of("NODE_FAIL"), JobPhase::node_failed);
}

TEST(Slurm, OptionsThatPerdureSetsAreRefused) {
  for (const auto* word : {"--requeue", "--array=1-3", "-J", "-Jname", "--job-name=x", "-o/dev/null", "--export=NONE",
                           "--signal=B:USR1@60", "-d", "-D/tmp", "--wrap=x", "gpu"})
    EXPECT_FALSE(check_option(word).has_value()) << word;
  for (const auto* word : {"--partition=a100", "--gres=gpu:2", "-p", "--nodelist=n2", "--comment=x", "--hold"})
    EXPECT_TRUE(check_option(word).has_value()) << word;
}

TEST(Slurm, TimeThatIsLeftIsReadInAllItsForms) {
  using std::chrono::seconds;
  EXPECT_EQ(parse_time_left("1-02:03:04"), seconds(93'784));
  EXPECT_EQ(parse_time_left("2:03:04"), seconds(7'384));
  EXPECT_EQ(parse_time_left("9:59"), seconds(599));
  EXPECT_EQ(parse_time_left("0:00"), seconds(0));
  for (const auto* text : {"UNLIMITED", "NOT_SET", "INVALID", "", "1-", "a:b", "1:2:3:4", "-1"})
    EXPECT_FALSE(parse_time_left(text).has_value()) << text;
}

TEST(Shell, AWordStaysOneWordWhateverIsInIt) {
  EXPECT_EQ(for_shell("a b"), "'a b'");
  EXPECT_EQ(for_shell("it's $HOME"), R"('it'\''s $HOME')");
  EXPECT_EQ(path_for_shell("~/a b"), "\"$HOME\"/'a b'");
  EXPECT_EQ(path_for_shell("/x"), "'/x'");
}

class FarTaskTest : public testing::Test {
 protected:
  FarTaskTest() : session(folder.path() + "/session") {
    EXPECT_TRUE(session.create().has_value());
    EXPECT_TRUE(session.claim(*id).value_or(false));
  }
  FarTask task() const {
    Task planned{.id = *id};
    planned.process.command = "echo \"x\"";
    planned.executor = ExecutorState{.name = "gpu", .type = "ssh", .token = "perdure-1-x"};
    return {.planned = planned, .key = "k", .machine = "m", .place = {}, .words = {"run", "a b", "\n\"'"}, .stop = {}};
  }
  std::string file() const { return session.folder_path(*id) + "/far.json"; }

  testing_support::TempFolder folder;
  store::Session session;
  Result<TaskId> id = TaskId::parse("bash-abcdefgh");
};

TEST_F(FarTaskTest, IsReadAsItWasWritten) {
  FarTask sent = task();
  sent.place = "bash-12345678";
  sent.stop = StopWanted{.reason = "it's \"enough\"", .grace_ms = 7, .is_quiet = true};
  ASSERT_TRUE(write_far_task(session, sent).has_value());
  const auto read = read_far_task(session, *id);
  ASSERT_TRUE(read.has_value());
  EXPECT_EQ(read->words, sent.words);
  EXPECT_EQ(read->place, sent.place);
  EXPECT_EQ(read->stop->reason, sent.stop->reason);
  EXPECT_EQ(read->stop->grace_ms, 7);
  EXPECT_TRUE(read->stop->is_quiet);
  EXPECT_EQ(read->planned.process.command, sent.planned.process.command);
  EXPECT_EQ(read->executor(), "gpu");
}

TEST_F(FarTaskTest, L51_AChangedByteOrAnotherTasksFileIsNotActedUpon) {
  ASSERT_TRUE(write_far_task(session, task()).has_value());
  std::ifstream in(file());
  std::string text{std::istreambuf_iterator<char>(in), {}};
  text[text.find("a b")] = 'c';
  std::ofstream(file()) << text;
  EXPECT_FALSE(read_far_task(session, *id).has_value());
  EXPECT_FALSE(unplaced(session, *id).has_value());
}

TEST_F(FarTaskTest, AnEntryWithoutARecordIsShownAsQueuedAndHasOneSubmitter) {
  ASSERT_TRUE(write_far_task(session, task()).has_value());
  EXPECT_FALSE(unplaced(session, *id).has_value());
  ASSERT_TRUE(enter(session, *id).has_value());
  EXPECT_EQ(unplaced(session, *id)->status, Status::queued);
  EXPECT_EQ(entries(session)->size(), 1U);
  auto right = take_entry(session, *id);
  ASSERT_TRUE(right && *right);
  EXPECT_FALSE(take_entry(session, *id)->has_value());
  (*right)->reset();
  EXPECT_TRUE(take_entry(session, *id)->has_value());
  ASSERT_TRUE(remove_entry(session, *id).has_value());
  EXPECT_FALSE(unplaced(session, *id).has_value());
  EXPECT_TRUE(entries(session)->empty());
}

}  // namespace
}  // namespace perdure::far
