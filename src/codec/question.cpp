#include "codec/question.h"

#include "base/error.h"
#include "base/json_writer.h"
#include "base/try.h"
#include "codec/json.h"
#include "codec/record.h"

#include <fmt/format.h>

#include <algorithm>
#include <unordered_set>

namespace perdure {
namespace codec {
namespace {

constexpr std::size_t kMostQuestions = 4, kLeastOptions = 2, kMostOptions = 4, kMostHeader = 12;
constexpr const char* kDefaultNote = "No answer came before the deadline, so the default was taken.";

bool is_blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

std::size_t characters(std::string_view utf8) {
  return static_cast<std::size_t>(
      std::ranges::count_if(utf8, [](char c) { return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U; }));
}

std::string text_of_key(const Member& member) {
  const std::string in_quotes = fmt::format("\"{}\"", member.key);
  return string_of({.raw = in_quotes, .type = JsonType::string});
}

std::unexpected<Error> wrong(std::string what) {
  return fail(ErrorCode::usage, std::move(what));
}

Result<std::string> string_in(const Member& member, std::string_view where) {
  if (member.type == JsonType::string) return string_of(member);
  return wrong(fmt::format("{}: {} is {}, not a string", where, member.key, name_of(member.type)));
}

Result<Choice> decode_choice(const Member& item, std::string_view where) {
  const auto members = split_object(item.raw);
  if (!members) return wrong(fmt::format("{}: an option is {}, not an object", where, name_of(item.type)));
  Choice choice;
  for (const auto& member : *members) {
    std::string* const into = member.key == "label"         ? &choice.label
                              : member.key == "description" ? &choice.description
                                                            : nullptr;
    if (into == nullptr) return wrong(fmt::format("{}: an option has no '{}'", where, member.key));
    TRY(auto text, string_in(member, where));
    *into = std::move(text);
  }
  return choice;
}

Result<std::vector<Choice>> decode_choices(const Member& options, std::string_view where) {
  const auto items = split_array(options.raw);
  if (!items) return wrong(fmt::format("{}: options is {}, not an array", where, name_of(options.type)));
  std::vector<Choice> choices;
  for (const auto& item : *items) {
    TRY(auto choice, decode_choice(item, where));
    choices.push_back(std::move(choice));
  }
  return choices;
}

Result<Question> decode_question(const Member& item, std::size_t number) {
  const std::string where = fmt::format("question {}", number);
  const auto members = split_object(item.raw);
  if (!members) return wrong(fmt::format("{} is {}, not an object", where, name_of(item.type)));
  Question question;
  for (const auto& member : *members) {
    if (member.key == "options") {
      TRY(auto choices, decode_choices(member, where));
      question.options = std::move(choices);
      continue;
    }
    if (member.key == "multi_select") {
      if (member.type != JsonType::boolean) return wrong(where + ": multi_select is not true or false");
      question.multi_select = member.raw == "true";
      continue;
    }
    if (member.key != "question" && member.key != "header" && member.key != "default")
      return wrong(fmt::format("{}: '{}' is not known: question, header, options, multi_select and default are", where,
                               member.key));
    TRY(auto text, string_in(member, where));
    if (member.key == "question") question.text = std::move(text);
    if (member.key == "header") question.header = std::move(text);
    if (member.key == "default") question.default_answer = std::move(text);
  }
  return question;
}

Result<> check_question(const Question& question) {
  if (is_blank(question.text)) return wrong("a question is blank");
  if (characters(question.header) > kMostHeader)
    return wrong(fmt::format("the header '{}' is longer than {} characters", question.header, kMostHeader));
  if (question.default_answer && is_blank(*question.default_answer)) return wrong("a default answer is blank");
  const std::size_t options = question.options.size();
  if (options != 0 && (options < kLeastOptions || options > kMostOptions))
    return wrong(fmt::format("'{}' has {} options: give none, or {} to {}", question.text, options, kLeastOptions,
                             kMostOptions));
  if (question.multi_select && options == 0)
    return wrong(fmt::format("'{}' has no options of which several could be chosen", question.text));
  std::unordered_set<std::string_view> labels;
  for (const auto& option : question.options) {
    if (is_blank(option.label)) return wrong(fmt::format("an option of '{}' is blank", question.text));
    if (!labels.insert(option.label).second)
      return wrong(fmt::format("'{}' has the option '{}' twice", question.text, option.label));
  }
  return {};
}

// "a" or ["a", "b"]; several become one answer.
Result<std::string> decode_one_answer(const Member& member) {
  if (member.type == JsonType::string) return string_of(member);
  const auto items = split_array(member.raw);
  if (!items) return wrong(fmt::format("the answer to '{}' is {}, not a string", member.key, name_of(member.type)));
  std::string joined;
  for (const auto& item : *items) {
    if (item.type != JsonType::string) return wrong(fmt::format("an answer to '{}' is not a string", member.key));
    joined += (joined.empty() ? "" : ", ") + string_of(item);
  }
  return joined;
}

// The value of a member of an object without other members than those in `besides`; else the text itself.
std::string_view inside(std::string_view json, std::string_view name, std::string_view besides, JsonType type) {
  const auto members = split_object(json);
  if (!members) return json;
  const Member* found = nullptr;
  for (const auto& member : *members) {
    if (member.key == name && member.type == type) {
      found = &member;
    } else if (member.key != besides) {
      return json;
    }
  }
  return found == nullptr ? json : found->raw;
}

}  // namespace

Result<> check_questions(const std::vector<Question>& questions) {
  if (questions.empty() || questions.size() > kMostQuestions)
    return wrong(fmt::format("1 to {} questions can be asked together, not {}", kMostQuestions, questions.size()));
  std::unordered_set<std::string_view> texts;
  for (const auto& question : questions) {
    TRY_VOID(check_question(question));
    if (!texts.insert(question.text).second) return wrong(fmt::format("'{}' is asked twice", question.text));
  }
  if (questions_json(questions).size() > kMaxQuestionBytes) return wrong("the questions are too long");
  return {};
}

std::string encode_answer(const Answer& answer) {
  std::string json = "{\"answers\":{";
  const char* comma = "";
  for (const auto& [question, text] : answer.answers) {
    json += fmt::format("{}{}:{}", comma, json_quoted(question), json_quoted(text));
    comma = ",";
  }
  json += "}";
  if (!answer.note.empty()) json += ",\"note\":" + json_quoted(answer.note);
  return json + "}";
}

Result<Answer> complete_answer(const std::vector<Question>& questions, Answer given) {
  Answer whole{.answers = {}, .note = std::move(given.note)};
  for (const auto& question : questions) {
    auto found = given.answers.extract(question.text);
    if (found.empty() && !question.default_answer) return wrong(fmt::format("'{}' is not answered", question.text));
    std::string& text = whole.answers[question.text];
    if (found.empty()) {
      text = *question.default_answer;
    } else {
      text = std::move(found.mapped());
    }
    if (is_blank(text)) return wrong(fmt::format("the answer to '{}' is blank", question.text));
  }
  if (!given.answers.empty()) return wrong(fmt::format("'{}' was not asked", given.answers.begin()->first));
  if (encode_answer(whole).size() > kMaxQuestionBytes) return wrong("the answer is too long");
  return whole;
}

std::optional<Answer> default_answer(const std::vector<Question>& questions) {
  auto whole = complete_answer(questions, {.answers = {}, .note = kDefaultNote});
  if (!whole) return std::nullopt;
  return std::move(*whole);
}

}  // namespace codec

Result<std::vector<Question>> questions_from_json(std::string_view json) {
  const auto items = codec::split_array(codec::inside(json, "questions", "", codec::JsonType::array));
  if (!items) return codec::wrong("the questions: " + items.error().message);
  std::vector<Question> questions;
  for (const auto& item : *items) {
    TRY(auto question, codec::decode_question(item, questions.size() + 1));
    questions.push_back(std::move(question));
  }
  TRY_VOID(codec::check_questions(questions));
  return questions;
}

std::string questions_json(const std::vector<Question>& questions) {
  std::string json = "[";
  for (const auto& question : questions) {
    if (json.size() > 1) json += ",";
    json += "{\"question\":" + json_quoted(question.text);
    if (!question.header.empty()) json += ",\"header\":" + json_quoted(question.header);
    if (!question.options.empty()) {
      std::string options;
      for (const auto& option : question.options) {
        options += fmt::format("{}{{\"label\":{}", options.empty() ? "" : ",", json_quoted(option.label));
        if (!option.description.empty()) options += ",\"description\":" + json_quoted(option.description);
        options += "}";
      }
      json += fmt::format(",\"options\":[{}],\"multi_select\":{}", options, question.multi_select);
    }
    if (question.default_answer) json += ",\"default\":" + json_quoted(*question.default_answer);
    json += "}";
  }
  return json + "]";
}

Result<Answer> answer_from_json(std::string_view json) {
  const std::string_view map = codec::inside(json, "answers", "note", codec::JsonType::object);
  const auto members = codec::split_object(map);
  if (!members) return codec::wrong("the answers: " + members.error().message);
  Answer answer;
  for (const auto& member : *members) {
    TRY(auto text, codec::decode_one_answer(member));
    answer.answers[codec::text_of_key(member)] = std::move(text);
  }
  if (map.data() == json.data()) return answer;
  if (const auto outer = codec::split_object(json))
    for (const auto& member : *outer)
      if (member.key == "note" && member.type == codec::JsonType::string) answer.note = codec::string_of(member);
  return answer;
}

}  // namespace perdure
