#include "view/safe_text.h"

#include "view/width.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace perdure::view {
namespace {

std::string shown(std::string_view bytes) {
  return plain_text(safe_line(bytes));
}

TEST(V24SafeText, ColoursAndAttributesBecomeStyles) {
  const Line line = safe_line("a\x1b[1;31mb\x1b[0mc\x1b[38;5;200md\x1b[48;2;1;2;3me\x1b[97;4mf\x1b[22;24;39;49mg");
  ASSERT_EQ(line.size(), 7U);
  EXPECT_EQ(line[1].style.attributes, Style::kBold);
  EXPECT_EQ(line[1].style.foreground, (Colour{.kind = Colour::Kind::indexed, .red = 1}));
  EXPECT_EQ(line[2].style, Style{});
  EXPECT_EQ(line[3].style.foreground.red, 200);
  EXPECT_EQ(line[4].style.background, (Colour{Colour::Kind::rgb, 1, 2, 3}));
  EXPECT_EQ(line[5].style.foreground.red, 15);
  EXPECT_EQ(line[5].style.attributes, Style::kUnderline);
  EXPECT_EQ(line[6].style, Style{});
}

TEST(V24SafeText, ACarriageReturnOverwritesAndTheLastStateIsShown) {
  EXPECT_EQ(shown("10%\r20%\r100% done"), "100% done");
  EXPECT_EQ(shown("abcdef\rxy"), "xycdef");
  EXPECT_EQ(shown("downloading\r\x1b[Kdone"), "done");
  EXPECT_EQ(shown("line of windows\r"), "line of windows");
}

TEST(V24SafeText, BackspacesAreApplied) {
  EXPECT_EQ(shown("ab\bc"), "ac");
  EXPECT_EQ(safe_line("x\bx"), (Line{{"x", {.foreground = {}, .background = {}, .attributes = Style::kBold}}}));
  EXPECT_EQ(safe_line("_\bx"), (Line{{"x", {.foreground = {}, .background = {}, .attributes = Style::kUnderline}}}));
  EXPECT_EQ(shown("\b\b\ba"), "a");
}

TEST(V24SafeText, EveryOtherSequenceIsDropped) {
  EXPECT_EQ(shown("a\x1b[2J\x1b[1;1H\x1b[?1049hb"), "ab");
  EXPECT_EQ(shown("a\x1b]0;title\x07"
                  "b\x1b]52;c;aGk=\x1b\\c"),
            "abc");
  EXPECT_EQ(shown("a\x1bP+q544e\x1b\\b\x1b(0c\x1b\x63"), "abc");
  EXPECT_EQ(shown("\x1b]8;;http://x/\x1b\\link\x1b]8;;\x1b\\ text"), "link text");
}

TEST(V24SafeText, LoneControlsAreVisible) {
  EXPECT_EQ(shown(std::string_view("a\0b", 3)), "a␀b");
  EXPECT_EQ(shown("\x07\x7f"), "␇␡");
  EXPECT_EQ(shown("end\x1b"), "end␛");
  EXPECT_EQ(shown("\x1b]0;never ended"), "␛]0;never ended");
  EXPECT_EQ(shown("\xc2\x9b"
                  "31m"),
            "\xEF\xBF\xBD"
            "31m");
  EXPECT_EQ(shown("\xff\xfe"), "\xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST(V24SafeText, BidirectionalControlsAreMarks) {
  EXPECT_EQ(shown("a\u202Eb\u2066c"), "a<U+202E>b<U+2066>c");
  EXPECT_EQ(shown("a\u200Bb\u2028c"), "abc");
}

TEST(V24SafeText, TabsAreBlanks) {
  EXPECT_EQ(shown("a\tb"), "a       b");
  EXPECT_EQ(shown("界\tb"), "界      b");
}

TEST(V24SafeText, HalfOfAWideCharacterIsOverwrittenWhole) {
  EXPECT_EQ(shown("界面\rx"), "x 面");
  EXPECT_EQ(shown("ab界\b\b界"), "a界 ");
}

TEST(V24SafeText, TakesTimeInProportion) {
  std::string hostile(40'000, 'x');
  for (int i = 0; i < 40'000; ++i) hostile += "\x1b[2Ky\x1b[1K";
  const auto before = std::chrono::steady_clock::now();
  static_cast<void>(safe_line(hostile));
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(5));
}

TEST(V24SafeText, NamesAreOneLine) {
  EXPECT_EQ(safe_words("make\nall\r\nnow\x1b[31m!"), "make all  now!");
}

TEST(V62Width, OneTableForAll) {
  EXPECT_EQ(width_of("abc"), 3U);
  EXPECT_EQ(width_of("日本"), 4U);
  EXPECT_EQ(width_of("e\u0301"), 1U);
  EXPECT_EQ(width_of("👩‍💻"), 2U);
  EXPECT_EQ(width_of("👍🏽"), 2U);
  EXPECT_EQ(width_of("🇩🇪🇫🇷"), 4U);
  EXPECT_EQ(width_of("한글"), 4U);
  EXPECT_EQ(width_of("ﾊﾝ"), 2U);
  EXPECT_EQ(width_of("●✗…─"), 4U);
}

TEST(V62Width, NothingIsCutInside) {
  EXPECT_EQ(cut_to("日本語", 6), "日本語");
  EXPECT_EQ(cut_to("日本語", 5), "日本…");
  EXPECT_EQ(cut_to("日本語", 4), "日…");
  EXPECT_EQ(fit_to("日本語", 4), "日… ");
  EXPECT_EQ(fit_to("ab", 4), "ab  ");
  EXPECT_EQ(cut_to("ab", 0), "");
}

TEST(V62Width, AClusterHasABound) {
  std::string text = "a";
  for (int i = 0; i < 1000; ++i) text += "\u0301";
  std::string_view rest = text;
  EXPECT_LE(take_cluster(rest).bytes.size(), 32U);
  EXPECT_EQ(width_of(text), 1U);
  EXPECT_LE(shown(text).size(), 32U);
}

}  // namespace
}  // namespace perdure::view
