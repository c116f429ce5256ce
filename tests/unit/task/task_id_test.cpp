#include <perdure/task.h>

#include <gtest/gtest.h>

namespace perdure {
namespace {

TEST(TaskId, TakesTheFormsOfAllGenerations) {
  for (const auto* good :
       {"bash-1a2b3c4d", "agent-00000000", "question-zzzzzzzz", "my-own-kind-1a2b3c4d", "b1234567", "a-"})
    EXPECT_TRUE(TaskId::parse(good)) << good;
}

TEST(TaskId, RefusesWhatCouldLeaveTheSession) {
  for (const auto* bad : {"../../x", "/etc/passwd", "bash-1a2b3c4d/../x", "bash-1a2b3c4d.json", ".", "..", "a/b",
                          "bash-1A2B3C4D", "bash 1a2b3c4d", "-1a2b3c4d"}) {
    const auto id = TaskId::parse(bad);
    ASSERT_FALSE(id) << bad;
    EXPECT_EQ(id.error().code, ErrorCode::task_id_invalid);
  }
}

TEST(TaskId, EmptyHasACodeOfItsOwn) {
  EXPECT_EQ(TaskId::parse("").error().code, ErrorCode::task_id_empty);
}

TEST(TaskId, SixtyFourCharactersAreTheMost) {
  const std::string prefix(55, 'a');
  EXPECT_TRUE(TaskId::parse(prefix + "-1a2b3c4d"));
  EXPECT_FALSE(TaskId::parse(prefix + "a-1a2b3c4d"));
}

TEST(TaskId, OnlyRecordIdsNameARecordFile) {
  EXPECT_TRUE(TaskId::parse("bash-1a2b3c4d")->has_record_form());
  EXPECT_FALSE(TaskId::parse("b12345678")->has_record_form());
  EXPECT_FALSE(TaskId::parse("b--x")->has_record_form());
}

TEST(TaskId, AHostileIdIsQuotedHarmlessly) {
  const auto id = TaskId::parse(std::string("\x1B[2J") + std::string(5000, 'A'));
  ASSERT_FALSE(id);
  EXPECT_EQ(id.error().message.find('\x1B'), std::string::npos);
  EXPECT_LT(id.error().message.size(), 200U);
}

TEST(Status, NamesAreReadBackAsWritten) {
  for (const auto status : {Status::queued, Status::running, Status::completed, Status::failed, Status::timed_out,
                            Status::killed, Status::lost})
    EXPECT_EQ(status_from(name_of(status)), status);
  EXPECT_FALSE(status_from("exploded"));
}

TEST(Status, AllButTwoAreTerminal) {
  EXPECT_FALSE(is_terminal(Status::queued));
  EXPECT_FALSE(is_terminal(Status::running));
  for (const auto status : {Status::completed, Status::failed, Status::timed_out, Status::killed, Status::lost})
    EXPECT_TRUE(is_terminal(status));
}

TEST(ErrorCode, EveryCodeHasAWord) {
  EXPECT_EQ(name_of(ErrorCode::task_not_found), "task.not_found");
  EXPECT_EQ(name_of(ErrorCode::storage_full), "storage.full");
  EXPECT_EQ(name_of(ErrorCode::usage), "usage");
}

}  // namespace
}  // namespace perdure
