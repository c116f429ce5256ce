#include "acp/record/message.h"

#include <gtest/gtest.h>

namespace perdure::acp {
namespace {

TEST(FinalMessage, PiecesOfOneIdAreOneMessage) {
  FinalMessage message;
  message.add("1", "first");
  message.add("2", "sec");
  message.interrupt();  // a tool call while it is still being said
  message.add("2", "ond");
  EXPECT_EQ(message.text(), "second\n");
}

TEST(FinalMessage, WithoutIdsWhatComesBetweenEndsAMessage) {
  FinalMessage message;
  message.add("", "first");
  message.interrupt();
  message.add("", "sec");
  message.add("", "ond\n");
  EXPECT_EQ(message.text(), "second\n");
}

TEST(FinalMessage, NothingSaidIsNothing) {
  EXPECT_EQ(FinalMessage().text(), "");
}

TEST(FinalMessage, WhatIsTooLongIsCutAtACharacterAndSaysSo) {
  FinalMessage message;
  message.add("1", "a");
  for (std::size_t i = 0; i < FinalMessage::kMostBytes / 3 + 10; ++i) message.add("1", "\xE2\x82\xAC");
  const std::string text = message.text();
  EXPECT_LT(text.size(), FinalMessage::kMostBytes + 200);
  EXPECT_TRUE(text.ends_with("the rest is not kept]\n"));
  EXPECT_EQ(text[text.rfind('[') - 2], '\xAC');
}

}  // namespace
}  // namespace perdure::acp
