#include "view/log.h"

#include "unit/view/text_log.h"

#include <gtest/gtest.h>

namespace perdure::view {
namespace {

TEST(V20Window, BeginsAtTheStartOfTheLine) {
  const TextLog log{.text = "one\ntwo\nthree\n"};
  const auto found = window(log.read(), 5, 6);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->offset, 4);
  EXPECT_EQ(found->bytes, "two\nth");
  EXPECT_EQ(found->next_offset, 10);
  EXPECT_EQ(found->size, 14);
  EXPECT_FALSE(found->eof);
  EXPECT_FALSE(found->gap);
  EXPECT_TRUE(window(log.read(), 8, 100)->eof);
}

TEST(V20Window, LooksBack64KiBAtMost) {
  const TextLog log{.text = "x\n" + std::string(100'000, 'y')};
  EXPECT_EQ(window(log.read(), 60'000, 10)->offset, 2);
  EXPECT_EQ(window(log.read(), 90'000, 10)->offset, 90'000);
}

TEST(V20Window, EntersALongLineAtACharacter) {
  std::string text;
  for (int i = 0; i < 40'000; ++i) text += "界";
  const TextLog log{.text = text};
  const auto found = window(log.read(), 90'001, 30);
  EXPECT_EQ(found->offset, 90'003);
  EXPECT_EQ(found->bytes.substr(0, 3), "界");
}

TEST(V20Window, NamesDroppedBytesBehindIt) {
  const TextLog log{.text = numbered_lines(100), .gap_at = 70, .gap_end = 140};
  const auto found = window(log.read(), 0, 1000);
  EXPECT_EQ(found->bytes.size(), 70U);
  EXPECT_EQ(found->gap, (Gap{70, 70}));
  EXPECT_EQ(found->next_offset, 140);
}

TEST(V20Window, InDroppedBytesBeginsBehindThem) {
  const TextLog log{.text = numbered_lines(100), .gap_at = 70, .gap_end = 140};
  const auto found = window(log.read(), 100, 7);
  EXPECT_EQ(found->offset, 140);
  EXPECT_EQ(found->bytes, log.text.substr(140, 7));
}

TEST(V20Window, NeverMoreThan256KiB) {
  const TextLog log{.text = std::string(1 << 20, 'x')};
  EXPECT_EQ(window(log.read(), 0, 1 << 20)->bytes.size(), 256U << 10);
}

TEST(V20Lines, ForwardsAndBackwardsAreTheSame) {
  for (const bool gap : {false, true}) {
    TextLog log{.text = numbered_lines(30'000)};
    if (gap) log.gap_at = 100'003, log.gap_end = 200'001;
    const auto forward = lines_from(log.read(), 0, 100'000);
    ASSERT_TRUE(forward);
    const auto back = lines_before(log.read(), static_cast<std::int64_t>(log.text.size()), 100'000);
    ASSERT_TRUE(back);
    ASSERT_EQ(forward->size(), back->size()) << gap;
    for (std::size_t i = 0; i < back->size(); ++i) {
      ASSERT_EQ((*forward)[i].offset, (*back)[i].offset) << i;
      ASSERT_EQ((*forward)[i].bytes, (*back)[i].bytes) << i;
      ASSERT_EQ((*forward)[i].gap.has_value(), (*back)[i].gap.has_value()) << i;
    }
    if (!gap) {
      EXPECT_EQ(forward->size(), 30'000U);
    }
  }
}

TEST(V20Lines, AnUnfinishedLineIsALineAndALongOneComesInPieces) {
  const TextLog log{.text = "a\n" + std::string(40'000, 'x') + "\nend", .ended = false};
  const auto lines = lines_from(log.read(), 0, 100);
  ASSERT_EQ(lines->size(), 5U);
  EXPECT_EQ((*lines)[1].bytes.size(), 16'384U);
  EXPECT_EQ((*lines)[4].bytes, "end");
  EXPECT_EQ(lines->back().next, static_cast<std::int64_t>(log.text.size()));
}

TEST(V20Lines, EmptyLinesAreLines) {
  const TextLog log{.text = "\n\na\n\n"};
  EXPECT_EQ(lines_from(log.read(), 0, 100)->size(), 4U);
  EXPECT_EQ(lines_before(log.read(), 5, 2)->front().bytes, "a");
}

TEST(V21Lines, AreCountedInSlices) {
  TextLog log{.text = numbered_lines(400'000)};
  LineIndex index;
  EXPECT_FALSE(index.line_ends_before(log.read(), 10));
  EXPECT_TRUE(index.advance(log.read(), 1 << 20).value());
  EXPECT_EQ(index.counted(), 1 << 20);
  EXPECT_EQ(index.line_ends_before(log.read(), 14), 2);
  while (index.advance(log.read()).value()) {
  }
  EXPECT_EQ(index.line_ends_before(log.read(), static_cast<std::int64_t>(log.text.size())), 400'000);
  const auto at = static_cast<std::int64_t>(log.text.find("line 300000\n"));
  EXPECT_EQ(index.line_ends_before(log.read(), at), 300'000);
  log.text += "more\n";
  EXPECT_FALSE(index.advance(log.read()).value());
  EXPECT_EQ(index.line_ends_before(log.read(), static_cast<std::int64_t>(log.text.size())), 400'001);
}

}  // namespace
}  // namespace perdure::view
