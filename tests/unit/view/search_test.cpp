#include "view/search.h"

#include "unit/view/text_log.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <vector>

namespace perdure::view {
namespace {

struct Found {
  SearchEnd end;
  std::vector<Hit> hits;
};

Found look(const TextLog& log, const std::string& text, Pattern::Mode mode = Pattern::Mode::text,
           const SearchOptions& options = {}) {
  const auto pattern = Pattern::compile(text, mode);
  Found found;
  if (!pattern) return found;
  found.end = search(log.read(), *pattern, options, [&](const Hit& hit) { found.hits.push_back(hit); }).value();
  return found;
}

TEST(V22Search, TellsPlacesLinesAndATrueTotal) {
  const TextLog log{.text = numbered_lines(50'000)};
  const auto found = look(log, "Line 49999");
  EXPECT_EQ(found.end.total, 0) << "a capital letter asks for the case";
  const auto all = look(log, "line 4999");
  EXPECT_EQ(all.end.total, 11);
  ASSERT_EQ(all.hits.size(), 11U);
  EXPECT_EQ(all.hits[0].line, 5000);
  EXPECT_EQ(all.hits[0].text, "line 4999");
  EXPECT_EQ(log.text.compare(static_cast<std::size_t>(all.hits[10].offset), 10, "line 49999"), 0);
  EXPECT_EQ(all.end.searched, static_cast<std::int64_t>(log.text.size()));
}

TEST(V22Search, TheTotalIsTrueBehindTheLimit) {
  const TextLog log{.text = numbered_lines(50'000)};
  const auto found = look(log, "line", Pattern::Mode::text, {.limit = 3});
  EXPECT_EQ(found.hits.size(), 3U);
  EXPECT_EQ(found.end.total, 50'000);
}

TEST(V22Search, BackwardsTheNearestFirst) {
  const TextLog log{.text = numbered_lines(100)};
  const auto from = static_cast<std::int64_t>(log.text.find("line 50"));
  const auto found = look(log, "line", Pattern::Mode::text, {.from = from, .backward = true, .limit = 2});
  ASSERT_EQ(found.hits.size(), 2U);
  EXPECT_EQ(found.hits[0].text, "line 49");
  EXPECT_EQ(found.hits[1].text, "line 48");
  EXPECT_EQ(found.end.total, 100);
}

TEST(V22Search, RegularExpressionsStayInTheirLine) {
  const TextLog log{.text = "alpha\nbeta gamma\nalpha beta\n"};
  EXPECT_EQ(look(log, "^alpha$", Pattern::Mode::regex).end.total, 1);
  EXPECT_EQ(look(log, "alpha[^z]*beta", Pattern::Mode::regex).end.total, 1);
  EXPECT_EQ(look(log, "a|b", Pattern::Mode::regex).end.total, 10);
  EXPECT_EQ(look(log, "x*", Pattern::Mode::regex).end.total, 0) << "an empty match is no hit";
}

TEST(V22Search, TextIsNoExpressionAndCaseIsIgnoredWithoutCapitals) {
  const TextLog log{.text = "a.b\nA.B\naxb\nÄ.b\n"};
  EXPECT_EQ(look(log, "a.b").end.total, 2);
  EXPECT_EQ(look(log, "A.B").end.total, 1);
  EXPECT_EQ(look(log, "ä.b").end.total, 1);
}

TEST(V22Search, MatchesAcrossReadsAreFound) {
  TextLog log{.text = std::string((1 << 20) - 3, 'x')};
  log.text += "needle\n";
  EXPECT_EQ(look(log, "needle").hits.at(0).offset, (1 << 20) - 3);
  log.text = std::string((5 << 20) - 3, 'x') + "needle" + std::string(1 << 20, 'y') + "needle";
  EXPECT_EQ(look(log, "needle").end.total, 2) << "in one line of six megabytes, too";
}

TEST(V22Search, DroppedBytesArePassedOver) {
  const TextLog log{.text = numbered_lines(1000), .gap_at = 1000, .gap_end = 5000};
  const auto found = look(log, "line 9");
  EXPECT_GT(found.hits.back().offset, 5000);
  EXPECT_EQ(found.end.total, static_cast<std::int64_t>(found.hits.size()));
  for (const auto& hit : found.hits) EXPECT_TRUE(hit.offset < 1000 || hit.offset >= 5000);
  EXPECT_LT(found.end.total, 112);
}

TEST(V22Search, GoesOnWhereItEnded) {
  TextLog log{.text = "hit\nhit\nhit", .ended = false};
  const auto first = look(log, "hit");
  EXPECT_EQ(first.end.total, 3);
  EXPECT_EQ(first.end.total_there, 2);
  EXPECT_EQ(first.end.searched, 8);
  log.text += " hit\n";
  const auto second = look(log, "hit", Pattern::Mode::text, {.begin = first.end.searched});
  EXPECT_EQ(first.end.total_there + second.end.total, 4);
}

TEST(V22Search, CanBeStoppedAndTellsHowFarItIs) {
  const TextLog log{.text = std::string(130 << 20, '\n')};
  std::stop_source stop;
  int told = 0;
  const auto found = look(log, "x", Pattern::Mode::text, {.stop = stop.get_token(), .progress = [&](std::int64_t) {
                                                            if (++told == 1) stop.request_stop();
                                                          }});
  EXPECT_TRUE(found.end.stopped);
  EXPECT_EQ(found.end.searched, 64 << 20);
}

TEST(V22Search, IsLinearInTheTextWhateverThePattern) {
  const TextLog log{.text = std::string(200'000, 'a') + "\n"};
  const auto before = std::chrono::steady_clock::now();
  look(log, "(a*)*b", Pattern::Mode::regex);
  look(log, "(a|aa)+$", Pattern::Mode::regex);
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(5));
}

TEST(V22Search, ALongLineFullOfMatchesIsNoTrouble) {
  TextLog log;
  for (int i = 0; i < 15'000; ++i) log.text += "X" + std::string(59, '.');
  const auto before = std::chrono::steady_clock::now();
  EXPECT_EQ(look(log, "X").end.total, 15'000);
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(20));
}

TEST(V22Search, RefusesWhatIsNoExpressionOrTooLarge) {
  EXPECT_FALSE(Pattern::compile("(", Pattern::Mode::regex));
  EXPECT_FALSE(Pattern::compile("", Pattern::Mode::text));
  EXPECT_FALSE(Pattern::compile("((((a{1,100}){1,100}){1,100}){1,100}", Pattern::Mode::regex));
  EXPECT_TRUE(Pattern::compile("(", Pattern::Mode::text));
}

TEST(V22Search, HitsAreShortAndValid) {
  const TextLog log{.text = std::string(5000, '\xff') + "needle" + std::string(5000, '\xff')};
  const auto found = look(log, "needle");
  ASSERT_EQ(found.hits.size(), 1U);
  EXPECT_LE(found.hits[0].text.size(), 512U);
}

TEST(V23FirstFailure, IsTheLastMatch) {
  TextLog log{.text = "start\nerror: one\n" + std::string(3 << 20, '.') + "\nerror: two\n" + numbered_lines(400'000)};
  auto place = first_failure(log.read());
  EXPECT_TRUE(place->found);
  EXPECT_EQ(place->offset, static_cast<std::int64_t>(log.text.find("error: two")));
  log.text = numbered_lines(10);
  place = first_failure(log.read());
  EXPECT_FALSE(place->found);
  EXPECT_EQ(place->offset, static_cast<std::int64_t>(log.text.size()));
  log.text += "  ✗ it works\n";
  EXPECT_TRUE(first_failure(log.read())->found);
}

TEST(V23FirstFailure, LooksOnBothSidesOfDroppedBytes) {
  TextLog log{.text = "panic: here\n" + numbered_lines(400'000), .gap_at = 1000, .gap_end = 3'000'000};
  EXPECT_EQ(first_failure(log.read())->offset, 0);
}

}  // namespace
}  // namespace perdure::view
