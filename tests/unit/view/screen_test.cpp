#include "view/screen.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace perdure::view {
namespace {

std::string after(std::string_view bytes, int rows = 5, int columns = 20) {
  ScreenText screen(rows, columns);
  screen.take(bytes);
  return screen.text();
}

TEST(I41Screen, ReturnsAndErasing) {
  EXPECT_EQ(after("one\r\ntwo\r\n"), "one\ntwo\n");
  EXPECT_EQ(after("10%\r20%\r100% done"), "100% done\n");
  EXPECT_EQ(after("long line\rab\x1b[K"), "ab\n");
  EXPECT_EQ(after("abcdef\x1b[3D\x1b[1K"), "    ef\n");
  EXPECT_EQ(after("abc\b\bX"), "aXc\n");
  EXPECT_EQ(after("a\tb"), "a       b\n");
  EXPECT_EQ(after("a\nb"), "a\n b\n");  // a line feed alone stays in its column
}

TEST(I41Screen, Moving) {
  EXPECT_EQ(after("\x1b[2J\x1b[3;5Hx\x1b[1;1Hy\x1b[2;2fz"), "y\n z\n    x\n");
  EXPECT_EQ(after("a\x1b[99;99Hb", 3, 4), "a\n\n   b\n");
  EXPECT_EQ(after("1\r\n2\r\n3\x1b[A\rX\x1b[2GY"), "1\nXY\n3\n");
  EXPECT_EQ(after("ab\x1b[s\x1b[5;1Hz\x1b[uc"), "abc\n\n\n\nz\n");
}

TEST(I41Screen, ScrollingAndRegions) {
  EXPECT_EQ(after("1\r\n2\r\n3\r\n4", 3), "2\n3\n4\n");
  EXPECT_EQ(after("head\r\n\x1b[2;3r\x1b[2;1Ha\r\nb\r\nc", 3), "head\nb\nc\n");
  EXPECT_EQ(after("1\r\n2\r\n3\x1b[1;1H\x1bM0", 3), "0\n1\n2\n");
  EXPECT_EQ(after("1\r\n2\r\n3\x1b[1;1H\x1b[M", 3), "2\n3\n");
  EXPECT_EQ(after("1\r\n2\r\n3\x1b[2;1H\x1b[L", 3), "1\n\n2\n");
}

TEST(I41Screen, InsertingAndDeleting) {
  EXPECT_EQ(after("abcdef\x1b[1;3H\x1b[2P"), "abef\n");
  EXPECT_EQ(after("abcdef\x1b[1;3H\x1b[2@"), "ab  cdef\n");
  EXPECT_EQ(after("abcdef\x1b[1;3H\x1b[2X"), "ab  ef\n");
}

TEST(I41Screen, LongLinesWrapAndTheLastColumnWaits) {
  EXPECT_EQ(after("abcdef", 3, 3), "abc\ndef\n");
  EXPECT_EQ(after("abc\r\nd", 3, 3), "abc\nd\n");
  EXPECT_EQ(after("\x1b[?7labcdef", 3, 3), "abf\n");
}

TEST(I41Screen, TheAlternateScreenGivesWayToWhatWasThere) {
  EXPECT_EQ(after("shell$ vim\x1b[?1049h\x1b[H~ file ~"), "~ file ~\n");
  EXPECT_EQ(after("shell$ vim\x1b[?1049h\x1b[H~ file ~\x1b[?1049l ok"), "shell$ vim ok\n");
}

TEST(I41Screen, WideAndCombiningCharacters) {
  EXPECT_EQ(after("日本\x1b[1;3Hx"), "日x\n");
  EXPECT_EQ(after("日本\x1b[1;2Hx"), " x本\n");
  EXPECT_EQ(after("e\xCC\x81!"), "e\xCC\x81!\n");
  EXPECT_EQ(after("abc日", 2, 4), "abc\n日\n");
  ScreenText split(2, 9);
  split.take("\xE6\x97");
  split.take("\xA5!");
  EXPECT_EQ(split.text(), "日!\n");
}

TEST(I41Screen, WhatIsNoTextIsSkipped) {
  EXPECT_EQ(after("\x1b[1;31mred\x1b[0m\x1b]0;title\x07 \x1b]8;;http://x\x1b\\link\x1bP1$r\x1b\\\x1b(B."),
            "red link.\n");
  EXPECT_EQ(after("a\x1b[2;4$pb\x1b[!p\x1b[>4;1mc\x1b[5 @d"), "abcd\n");
  EXPECT_EQ(after("a\xC2\x9B"
                  "2Jb\xE2\x80\xAE"
                  "c"),
            "a2Jbc\n");  // C1 and bidirectional controls
  EXPECT_EQ(after("\x1b[9999999999999999999;9999999999Hx", 3, 3), "\n\n  x\n");
  EXPECT_EQ(after("\x1b]never closed"), "");
}

// Nothing of a hostile output is kept but cells, and no sequence of bytes leaves the screen.
TEST(I41Screen, AnyBytesAreSafe) {
  std::mt19937 random(7);  // NOLINT(cert-msc51-cpp): the same in every run
  constexpr std::string_view kLikely = "\x1b[]0123456789;?hlHJKLMPXrST@ABCDm\r\n\t\b\xE6\x97\xA5\xCC\x81 aZ\x07\\78cM";
  for (int round = 0; round < 300; ++round) {
    std::string bytes;
    for (int i = 0; i < 2000; ++i)
      bytes += random() % 8 == 0 ? static_cast<char>(random() % 256) : kLikely[random() % kLikely.size()];
    const int rows = static_cast<int>(random() % 7), columns = static_cast<int>(random() % 9);
    ScreenText whole(rows, columns);
    whole.take(bytes);
    const std::string text = whole.text();
    EXPECT_LE(text.size(), 7U * (9U * 32U + 1U));
    EXPECT_EQ(text.find_first_of(std::string_view("\0\x1b\r\b\x07", 5)), std::string::npos);
  }
  ScreenText marks(1, 4);
  marks.take("a");
  for (int i = 0; i < 10'000; ++i) marks.take("\xCC\x81");
  EXPECT_LE(marks.text().size(), 40U);
}

}  // namespace
}  // namespace perdure::view
