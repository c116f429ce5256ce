// Questions and answers as JSON, and what may be asked.

#include "codec/question.h"

#include <gtest/gtest.h>

namespace perdure {
namespace {

using codec::check_questions;
using codec::complete_answer;
using codec::default_answer;
using codec::encode_answer;

Question plain(std::string text) {
  return {.text = std::move(text), .header = {}, .options = {}, .multi_select = false, .default_answer = {}};
}

TEST(Question, WhatIsWrittenIsReadAsTheSame) {
  Question first = plain("Which \"one\"?\n\x1b[2J\u00fc");
  first.header = "Größe";
  first.options = {{"S", "small"}, {"L, XL", ""}};
  first.multi_select = true;
  first.default_answer = "S";
  const std::vector<Question> questions = {first, plain("Why?")};
  const std::string json = questions_json(questions);
  const auto read = questions_from_json(json);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(questions_json(*read), json);
  EXPECT_EQ(read->front().text, first.text);
  EXPECT_EQ(read->front().options[0].description, "small");
  EXPECT_TRUE(read->front().multi_select);
  EXPECT_TRUE(questions_from_json("{\"questions\":" + json + "}"));
}

TEST(Question, HeaderIsCountedInCharacters) {
  Question question = plain("Q");
  question.header = "öööööööööööö";
  EXPECT_TRUE(check_questions({question}));
  question.header += "x";
  EXPECT_FALSE(check_questions({question}));
}

TEST(Question, OneToFourDifferentQuestionsAreAskedTogether) {
  EXPECT_FALSE(check_questions({}));
  EXPECT_FALSE(check_questions({plain("a"), plain("a")}));
  EXPECT_TRUE(check_questions({plain("a"), plain("b"), plain("c"), plain("d")}));
  EXPECT_FALSE(check_questions({plain("a"), plain("b"), plain("c"), plain("d"), plain("e")}));
}

TEST(Question, NoOptionsOrTwoToFourDifferentOnes) {
  for (std::size_t n = 0; n < 6; ++n) {
    Question question = plain("Q");
    for (std::size_t i = 0; i < n; ++i) question.options.push_back({std::string(i + 1, 'x'), ""});
    EXPECT_EQ(check_questions({question}).has_value(), n == 0 || (n >= 2 && n <= 4)) << n;
  }
  Question twice = plain("Q");
  twice.options = {{"a", "1"}, {"a", "2"}};
  EXPECT_FALSE(check_questions({twice}));
}

TEST(Answer, DefaultsStandInAndNothingElseDoes) {
  Question second = plain("b");
  second.default_answer = "D";
  const std::vector<Question> questions = {plain("a"), second};
  EXPECT_EQ(complete_answer(questions, {.answers = {{"a", "1"}}, .note = {}}).value().answers.at("b"), "D");
  EXPECT_EQ(complete_answer(questions, {.answers = {{"a", "1"}, {"b", "2"}}, .note = {}}).value().answers.at("b"), "2");
  EXPECT_FALSE(complete_answer(questions, {.answers = {{"b", "2"}}, .note = {}}));
  EXPECT_FALSE(complete_answer(questions, {.answers = {{"a", " \n"}}, .note = {}}));
  EXPECT_FALSE(complete_answer(questions, {.answers = {{"a", "1"}, {"c", "3"}}, .note = {}}));
  EXPECT_FALSE(default_answer(questions));
  EXPECT_EQ(default_answer({second}).value().answers.at("b"), "D");
}

TEST(Answer, IsReadAsItIsWritten) {
  const Answer answer{.answers = {{"Which \"one\"?", "my \\ own\nwords"}}, .note = "n"};
  const auto read = answer_from_json(encode_answer(answer));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->answers, answer.answers);
  EXPECT_EQ(read->note, "n");
  EXPECT_EQ(encode_answer({.answers = {}, .note = "gone"}), R"({"answers":{},"note":"gone"})");
  EXPECT_TRUE(answer_from_json(R"({"answers":{},"note":"gone"})")->answers.empty());
}

TEST(Answer, AQuestionMayBeCalledAnswers) {
  EXPECT_EQ(answer_from_json(R"({"answers":"x"})").value().answers.at("answers"), "x");
  EXPECT_EQ(answer_from_json(R"({"a":["x","y"],"b":"z"})").value().answers.at("a"), "x, y");
  EXPECT_FALSE(answer_from_json(R"({"a":1})"));
  EXPECT_FALSE(answer_from_json("[]"));
  EXPECT_FALSE(answer_from_json(R"({"a":[1]})"));
}

TEST(Answer, HostileJsonIsRefusedAndNothingWorse) {
  for (const char* text :
       {"", "{", "[", "[{\"question\":\"a\"", "[[]]", "[{\"question\":1}]", "[{\"options\":{}}]",
        "[{\"question\":\"a\",\"options\":[1,2]}]", "[{\"question\":\"a\",\"options\":[{\"x\":\"y\"}]}]",
        "{\"questions\":{}}", "[{\"question\":\"a\",\"multi_select\":1}]", "\xff"})
    EXPECT_FALSE(questions_from_json(text)) << text;
}

}  // namespace
}  // namespace perdure
