#include "acp/protocol/wire.h"

#include <gtest/gtest.h>

namespace perdure::acp {
namespace {

std::string text_in(std::string_view escaped) {
  auto message = read_line(R"({"jsonrpc":"2.0","method":"x","params":{"text":")" + std::string(escaped) + "\"}}");
  return message ? std::string(message->params.at("text").get_string()) : "(no message)";
}

TEST(Wire, ParamsThatAreNoObjectAreNone) {
  for (const std::string_view params : {"null", "[1]", "7"}) {
    auto message = read_line(R"({"jsonrpc":"2.0","id":"a","method":"_v/ask","params":)" + std::string(params) + "}");
    ASSERT_TRUE(message) << params;
    EXPECT_EQ(message->method, "_v/ask");
    EXPECT_TRUE(message->params.empty());
  }
}

TEST(Wire, HalfACharacterIsReplacedAndAllElseKept) {
  EXPECT_EQ(text_in(R"(hi \ud83d)"), "hi \uFFFD");
  EXPECT_EQ(text_in(R"(\ude00 there)"), "\uFFFD there");
  EXPECT_EQ(text_in(R"(\ud83d\ud83d\ude00\n)"), "\uFFFD\U0001F600\n");
  EXPECT_EQ(text_in(R"(\ud83d \\ude00 \\\ude00)"), "\uFFFD \\ude00 \\\uFFFD");
  EXPECT_EQ(text_in("\xff \\u00e4"), "\uFFFD \u00E4");
}

TEST(Wire, DeepValuesAreTakenAndTooDeepOnesAreNot) {
  const auto nested = [](std::size_t levels) {
    return R"({"jsonrpc":"2.0","method":"x","params":{"a":)" + std::string(levels, '[') + std::string(levels, ']') +
           "}}";
  };
  EXPECT_TRUE(read_line(nested(200)));
  EXPECT_FALSE(read_line(nested(300)));
}

TEST(Wire, WhatIsNoMessageIsNone) {
  for (const std::string_view line :
       {"Loading...", "{}", "[]", "7", R"({"jsonrpc":"2.0"})", R"({"jsonrpc":"2.0","method":1})", R"({"a":"\u)", "\\"})
    EXPECT_FALSE(read_line(line)) << line;
}

}  // namespace
}  // namespace perdure::acp
