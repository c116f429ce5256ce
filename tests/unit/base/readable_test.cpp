#include "base/readable.h"

#include <gtest/gtest.h>

namespace perdure {
namespace {

TEST(Readable, PlainTextIsUnchanged) {
  for (const std::string_view text : {"", "a", "a\n", "a\n\nb\n", "\n", "\ttab\n", "a\nb", "\xC3\xBC\n"}) {
    const Readable got = make_readable(text);
    EXPECT_EQ(got.text, text);
    EXPECT_FALSE(got.is_collapsed() || got.lost_escapes);
  }
}

TEST(Readable, OfARedrawnLineItsLastStateStays) {
  const Readable got = make_readable("start\n 1%\r 50%\r100%\nend\r\n");
  EXPECT_EQ(got.text, "start\n100%\nend\n");
  EXPECT_EQ(got.redraws, 2);
}

TEST(Readable, ALineThatEndsInACarriageReturnKeepsItsState) {
  EXPECT_EQ(make_readable("50%\r").text, "50%");
  EXPECT_EQ(make_readable("50%\r\x1b[K\ndone").text, "50%\ndone");
  EXPECT_EQ(make_readable("a\r\r\nb\r\n").text, "a\nb\n");
}

TEST(Readable, ManyFramesCostOneLine) {
  std::string log = "compiling\n";
  for (int i = 1; i <= 20'000; ++i) log += "\rprogress " + std::to_string(i);
  const Readable got = make_readable(log + "\nerror: no\n");
  EXPECT_EQ(got.text, "compiling\nprogress 20000\nerror: no\n");
  EXPECT_EQ(got.redraws, 19'999);
  EXPECT_EQ(collapsed_words(got), "19,999 redraws");
}

TEST(Readable, EscapeSequencesGo) {
  const Readable got = make_readable(
      "\x1b[1;31mred\x1b[0m \x1b]0;title\atext\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\ \x1b(Bx \x1bPq\x1b\\y\n");
  EXPECT_EQ(got.text, "red textlink x y\n");
  EXPECT_TRUE(got.lost_escapes);
  EXPECT_EQ(make_readable("\xC2\x9B"
                          "5mx\xC2\x85y")
                .text,
            "xy");
  EXPECT_EQ(make_readable("cut\x1b[").text, "cut");
  EXPECT_EQ(make_readable("unended\x1b]0;title\nnext").text, "unended\nnext");
}

TEST(Readable, BackspacesAndControlsAreApplied) {
  EXPECT_EQ(make_readable("ab\b\bxy\n").text, "xy\n");
  EXPECT_EQ(make_readable("\xC3\xBC\bu\n").text, "u\n");
  EXPECT_EQ(make_readable(std::string_view("a\0b\x01", 4)).text,
            "a\xE2\x90\x80"
            "b\xE2\x90\x81");
  EXPECT_EQ(make_readable("\xFF").text, "\xEF\xBF\xBD");
}

TEST(Readable, RepeatedLinesAreCountedWhereThatIsShorter) {
  std::string log;
  for (int i = 0; i < 500; ++i) log += "waiting for the server\n";
  const Readable got = make_readable(log + "ready\n");
  EXPECT_EQ(got.text, "waiting for the server\n[the line above 499 more times]\nready\n");
  EXPECT_EQ(got.repeats, 499);
  EXPECT_EQ(make_readable("a\na\na\n").text, "a\na\na\n");
  EXPECT_EQ(make_readable("\n\n\n").text, "\n\n\n");
}

TEST(Readable, TheEndBeginsAtALineWhereOneIsNear) {
  EXPECT_EQ(end_of("abc", 5), "abc");
  EXPECT_EQ(end_of("first line\nsecond line that is longer\n", 32), "second line that is longer\n");
  EXPECT_EQ(end_of("aaaa\xC3\xBC\xC3\xBC", 3), "\xC3\xBC");
  EXPECT_EQ(end_of("one\ntwo\n", 4), "two\n");
  EXPECT_EQ(end_of(std::string(100, 'x') + "\ny\n", 50).size(), 50U);
}

TEST(FailureLine, FindsTheCauseAndNotTheSummary) {
  EXPECT_EQ(failure_line("a.c:3:5: error: expected ';'\nmake: *** [Makefile:3: all] Error 1\n"),
            "a.c:3:5: error: expected ';'");
  EXPECT_EQ(failure_line("error[E0308]: mismatched types\n --> src/main.rs:2:5\nerror: could not compile `x` due to 1 "
                         "previous error\n"),
            "error[E0308]: mismatched types");
  EXPECT_EQ(failure_line("src/a.ts(3,5): error TS2322: Type 'string' is not\nFound 1 problem.\n"),
            "src/a.ts(3,5): error TS2322: Type 'string' is not");
  EXPECT_EQ(failure_line("Traceback (most recent call last):\n  File \"x\", line 1\nValueError: bad\n"),
            "ValueError: bad");
  EXPECT_EQ(failure_line("make: *** [Makefile:3: all] Error 1\n"), "make: *** [Makefile:3: all] Error 1");
  EXPECT_EQ(failure_line("all fine, 0 errors\n"), "");
  EXPECT_EQ(failure_line(""), "");
}

TEST(Words, NumbersAndAges) {
  EXPECT_EQ(grouped(0), "0");
  EXPECT_EQ(grouped(999), "999");
  EXPECT_EQ(grouped(1000), "1,000");
  EXPECT_EQ(grouped(1'234'567), "1,234,567");
  EXPECT_EQ(grouped(-1234), "-1,234");
  EXPECT_EQ(grouped(-123), "-123");
  EXPECT_EQ(ago(300), "now");
  EXPECT_EQ(ago(12'300), "12 s ago");
  EXPECT_EQ(ago(300'000), "5 min ago");
  EXPECT_EQ(ago(3 * 3'600'000), "3 h ago");
}

}  // namespace
}  // namespace perdure
