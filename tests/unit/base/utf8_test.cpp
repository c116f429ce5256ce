#include "base/utf8.h"

#include <gtest/gtest.h>

namespace perdure {
namespace {

TEST(Utf8, AcceptsEveryLengthOfCharacter) {
  EXPECT_TRUE(is_valid_utf8("a\xC3\xA9\xE2\x98\x83\xF0\x9F\x98\x80"));
}

TEST(Utf8, RefusesOverlongFormsSurrogatesAndWhatIsAboveTheLastCharacter) {
  for (const std::string_view bad : {"\xC0\xAF", "\xE0\x80\xAF", "\xF0\x80\x80\xAF", "\xED\xA0\x80", "\xF4\x90\x80\x80",
                                     "\xF5\x80\x80\x80", "\x80", "\xFF", "\xE2\x98"})
    EXPECT_FALSE(is_valid_utf8(bad));
}

TEST(Utf8, ReplacesOnlyTheBytesThatAreWrong) {
  EXPECT_EQ(to_valid_utf8("a\xFF"
                          "b\xC3\xA9"),
            "a\xEF\xBF\xBD"
            "b\xC3\xA9");
}

TEST(Utf8, L23_ACharacterSplitOverTwoReadsIsSeenAtBothCuts) {
  const std::string_view snowman = "x\xE2\x98\x83y";
  for (std::size_t cut = 0; cut <= snowman.size(); ++cut) {
    const auto before = snowman.substr(0, cut);
    const auto behind = snowman.substr(cut);
    const bool inside = cut == 2 || cut == 3;
    EXPECT_EQ(incomplete_suffix(before), inside ? cut - 1 : 0) << cut;
    EXPECT_EQ(continuation_prefix(behind), inside ? 4 - cut : 0) << cut;
  }
}

}  // namespace
}  // namespace perdure
