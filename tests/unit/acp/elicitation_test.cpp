#include "acp/requests/elicitation.h"

#include <gtest/gtest.h>

namespace perdure::acp {
namespace {

json::object form(std::string_view properties) {
  return {{"mode", "form"},
          {"message", "Please"},
          {"requestedSchema", json::object{{"type", "object"}, {"properties", json::parse(properties)}}}};
}

Answer all(const std::vector<FormField>& fields, const std::vector<std::string>& said) {
  Answer answer;
  for (std::size_t i = 0; i < fields.size(); ++i) answer.answers[fields[i].question.text] = said[i];
  return answer;
}

TEST(Elicitation, FieldsBecomeQuestionsAndAnswersBecomeValues) {
  const auto fields = read_form(form(R"({"branch":{"type":"string","enum":["main","dev"]},"force":{"type":"boolean"},
      "depth":{"type":"integer","description":"How deep?"},"who":{"type":"string","oneOf":[{"const":"a","title":"Ann"},{"const":"b","title":"Bob"}]}})"));
  ASSERT_TRUE(fields);
  ASSERT_EQ(fields->size(), 4U);
  const auto content = fill_in(*fields, all(*fields, {"dev", "yes", "3", "Bob"}));
  ASSERT_TRUE(content);
  EXPECT_EQ(*content, json::parse(R"({"branch":"dev","force":true,"depth":3,"who":"b"})").as_object());
}

TEST(Elicitation, AnAnswerOfAnotherTypeFillsInNothing) {
  const auto number = read_form(form(R"({"n":{"type":"integer"}})"));
  EXPECT_FALSE(fill_in(*number, all(*number, {"many"})));
  const auto word = read_form(form(R"({"w":{"type":"string","enum":["a","b"]}})"));
  EXPECT_FALSE(fill_in(*word, all(*word, {"c"})));
  EXPECT_FALSE(fill_in(*word, {}));
}

TEST(Elicitation, MoreWordsThanAQuestionShowsCanStillBeSaid) {
  const auto fields = read_form(form(R"({"w":{"type":"string","enum":["a","b","c","d","e"]}})"));
  EXPECT_TRUE(fields->front().question.options.empty());
  EXPECT_EQ(fill_in(*fields, all(*fields, {"e"}))->at("w").as_string(), "e");
}

TEST(Elicitation, WhatAQuestionCanNotAskIsNoForm) {
  EXPECT_FALSE(read_form({{"mode", "url"}, {"message", "x"}, {"url", "https://example.org"}}));
  EXPECT_FALSE(read_form(form("{}")));
  EXPECT_FALSE(read_form(form(R"({"l":{"type":"array","items":{"type":"string"}}})")));
  EXPECT_FALSE(read_form(form(
      R"({"a":{"type":"string"},"b":{"type":"string"},"c":{"type":"string"},"d":{"type":"string"},"e":{"type":"string"}})")));
  EXPECT_FALSE(read_form({{"mode", "form"}, {"requestedSchema", 7}}));
}

}  // namespace
}  // namespace perdure::acp
