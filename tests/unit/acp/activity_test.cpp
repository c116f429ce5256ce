#include "acp/record/activity.h"

#include "support/temp_folder.h"

#include <fcntl.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

namespace perdure::acp {
namespace {

class ActivityTest : public testing::Test {
 protected:
  Activity open() { return Activity(Fd(::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600))); }

  std::vector<json::object> entries() const {
    std::vector<json::object> found;
    std::ifstream file(path_);
    for (std::string line; std::getline(file, line);) found.push_back(json::parse(line).as_object());
    return found;
  }

  std::vector<std::string> types() const {
    std::vector<std::string> found;
    for (const auto& entry : entries()) found.emplace_back(entry.at("type").as_string());
    return found;
  }

  testing_support::TempFolder folder_;
  std::string path_ = folder_.path() + "/activity.jsonl";
};

TEST_F(ActivityTest, PiecesOfATextAreOneEntryUntilSomethingElseComes) {
  Activity activity = open();
  for (const char* piece : {"a ", "b ", "c"}) activity.add_text("message", piece);
  activity.add_text("thought", "hm");
  activity.add("end", {{"outcome", "completed"}});
  EXPECT_THAT(types(), testing::ElementsAre("message", "thought", "end"));
  EXPECT_EQ(entries()[0].at("text").as_string(), "a b c");
}

TEST_F(ActivityTest, ALongPieceIsCutIntoEntriesAtCharacters) {
  Activity activity = open();
  std::string text;
  for (int i = 0; i < 3'000; ++i) text += "\xE2\x82\xAC";  // three bytes each
  activity.add_text("message", text);
  activity.add("end", {});
  std::string joined;
  for (const auto& entry : entries())
    if (entry.at("type") == "message") joined += entry.at("text").as_string();
  EXPECT_EQ(joined, text);
}

TEST_F(ActivityTest, TalkIsBoundedAndWhatCountsIsStillWritten) {
  Activity activity = open();
  const std::string chunk(4'000, 'x');
  for (int i = 0; i < 4'000; ++i) activity.add_text("message", chunk);
  for (int i = 0; i < 100; ++i) activity.add("permission", {{"outcome", "allow_once"}});
  activity.add("end", {{"outcome", "completed"}});
  const auto all = entries();
  EXPECT_EQ(std::ranges::count(types(), "cut"), 1);
  EXPECT_EQ(std::ranges::count(types(), "permission"), 100);
  EXPECT_EQ(all.back().at("type").as_string(), "end");
  EXPECT_GT(all.back().at("left_out").as_int64(), 0);
  std::ifstream file(path_, std::ios::ate);
  EXPECT_LT(file.tellg(), Activity::kMostBytes);
}

TEST_F(ActivityTest, NothingGrowsPastTheEndWhateverItIs) {
  Activity activity = open();
  const std::string input(30'000, 'y');
  for (int i = 0; i < 400; ++i) activity.add("tool_call", {{"input", input}});
  std::ifstream file(path_, std::ios::ate);
  EXPECT_LE(file.tellg(), Activity::kMostBytes);
}

TEST(Shortened, KeepsWhatIsShortAndCutsWhatIsNotAtACharacter) {
  EXPECT_EQ(shortened(json::value("abc")), json::value("abc"));
  const json::object small{{"a", 1}};
  EXPECT_EQ(shortened(small), json::value(small));
  EXPECT_EQ(shortened(json::value("a\xE2\x82\xAC"), 2), json::value("a..."));
  const json::object large{{"a", std::string(5'000, 'z')}};
  EXPECT_LT(shortened(large).as_string().size(), 2'100U);
}

}  // namespace
}  // namespace perdure::acp
