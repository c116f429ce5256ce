#include "cli/text/question_text.h"

#include "base/error.h"
#include "base/json_writer.h"
#include "cli/console/print.h"
#include "cli/console/text.h"

#include <fmt/format.h>

#include <optional>

namespace perdure::cli {
namespace {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  const auto start = text.find_first_not_of(kBlanks);
  if (start == std::string_view::npos) return {};
  return text.substr(start, text.find_last_not_of(kBlanks) - start + 1);
}

// As the output of a question task has it (docs/internals/disk-format.md).
std::string answer_json(const Answer& answer) {
  JsonObject answers;
  for (const auto& [question, text] : answer.answers) answers.add(question, text);
  auto json = JsonObject().add("answers", answers.json());
  if (!answer.note.empty()) json.add("note", answer.note);
  return json.str();
}

std::optional<std::string> find_choice(const Question& question, std::string_view choice) {
  for (const auto& option : question.options)
    if (option.label == choice) return option.label;
  const auto number = parse_integer(choice, 1, static_cast<std::int64_t>(question.options.size()));
  if (question.options.empty() || !number) return std::nullopt;
  return question.options[static_cast<std::size_t>(*number - 1)].label;
}

}  // namespace

std::string question_text(const Question& question) {
  std::string text;
  if (!question.header.empty()) text += fmt::format("[{}] ", harmless_line(question.header));
  text += harmless_text(question.text) + "\n";
  int number = 0;
  for (const auto& option : question.options) {
    text += fmt::format("  {}  {}", ++number, harmless_line(option.label));
    if (!option.description.empty()) text += fmt::format(": {}", harmless_line(option.description));
    text += "\n";
  }
  if (question.multi_select) text += "  (several may be chosen)\n";
  if (question.default_answer) text += fmt::format("  (default: {})\n", harmless_line(*question.default_answer));
  return text;
}

std::string answer_text(const AskedQuestion& asked, bool for_terminal) {
  const auto shown = [&](const std::string& text) { return for_terminal ? harmless_text(text) : text; };
  std::string text;
  if (!asked.answer) return text;
  const auto& answers = asked.answer->answers;
  if (answers.size() == 1) return shown(answers.begin()->second) + "\n";
  for (const auto& question : asked.questions)
    if (const auto found = answers.find(question.text); found != answers.end())
      text += fmt::format("{}: {}\n", shown(question.header.empty() ? question.text : question.header),
                          shown(found->second));
  return text;
}

std::string answer_from_text(const Question& question, std::string_view text) {
  text = trimmed(text);
  if (auto label = find_choice(question, text)) return *label;
  if (!question.multi_select) return std::string(text);
  std::string labels;
  for (std::string_view rest = text; !rest.empty();) {
    const auto comma = rest.find(',');
    const auto label = find_choice(question, trimmed(rest.substr(0, comma)));
    if (!label) return std::string(text);
    labels += (labels.empty() ? "" : ", ") + *label;
    rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
  }
  return labels;
}

Result<std::string> label_of_choice(const Question& question, std::string_view choice) {
  if (auto label = find_choice(question, choice)) return *label;
  std::string labels;
  for (const auto& option : question.options)
    labels += fmt::format("{}'{}'", labels.empty() ? "" : ", ", harmless_line(option.label));
  return fail(
      ErrorCode::usage,
      question.options.empty()
          ? fmt::format("the question has no options to choose '{}' from: answer in your own words",
                        harmless_line(choice))
          : fmt::format("'{}' is neither one of the options {} nor the number of one", harmless_line(choice), labels));
}

std::string question_members(const AskedQuestion& asked) {
  std::string members = "\"questions\":" + questions_json(asked.questions);
  if (asked.answer) members += ",\"answer\":" + answer_json(*asked.answer);
  return members;
}

std::string asked_json(const AskedQuestion& asked) {
  std::string json = task_json(asked.task);
  json.pop_back();
  return json + "," + question_members(asked) + "}";
}

}  // namespace perdure::cli
