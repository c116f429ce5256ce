#include "base/error.h"
#include "cli/console/call.h"
#include "cli/console/input.h"
#include "cli/console/pager.h"
#include "cli/console/print.h"
#include "cli/text/question_text.h"
#include "cli/verbs/verbs.h"

#include <unistd.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace perdure::cli {
namespace {

using Answers = std::map<std::string, std::string>;

constexpr Option kAnswerOptions[] = {
    kYesOption,
    {"--choice", "N|LABEL", "one of the options, by its number or its label", true},
    {"--json-answers", "JSON|-", R"(answers to all: {"question":"answer",...}; - reads them from standard input)"},
    {"--dismiss", nullptr, "end it without an answer"},
    {"--note", "TEXT", "with --dismiss: why"},
};

// The only question, if the options given on the command line need one.
Result<const Question*> the_question(const AskedQuestion& asked) {
  if (asked.questions.size() == 1) return &asked.questions.front();
  return fail(ErrorCode::usage,
              fmt::format("{} asks {} questions: answer them with --json-answers, or on a terminal without any option",
                          asked.task.id.str(), asked.questions.size()));
}

Result<Answers> chosen(const AskedQuestion& asked, const std::vector<std::string>& choices) {
  auto question = the_question(asked);
  if (!question) return std::unexpected(question.error());
  if (choices.size() > 1 && !(*question)->multi_select)
    return fail(ErrorCode::usage, "only one of the options can be chosen");
  std::string labels;
  for (const auto& choice : choices) {
    auto label = label_of_choice(**question, choice);
    if (!label) return std::unexpected(label.error());
    labels += (labels.empty() ? "" : ", ") + *label;
  }
  return Answers{{(*question)->text, labels}};
}

// Asks the user at the terminal. An empty line selects the default, if there is one.
Result<Answers> ask_person(const AskedQuestion& asked) {
  Answers answers;
  for (const auto& question : asked.questions) {
    {
      const Pager pager;  // a permission may show a whole diff
      put(question_text(question));
    }
    std::string answer;
    while (answer.empty()) {
      put("> ");
      const auto line = read_line();
      if (!line) return fail(ErrorCode::usage, fmt::format("{} is still open", asked.task.id.str()));
      answer = answer_from_text(question, *line);
      if (answer.empty() && question.default_answer) answer = *question.default_answer;
    }
    answers[question.text] = std::move(answer);
  }
  return answers;
}

Result<Answers> read_answers(const Call& call, const AskedQuestion& asked) {
  const std::vector<std::string> words(call.arguments.begin() + 1, call.arguments.end());
  const auto choices = call.values("--choice");
  const auto json = call.value("--json-answers");
  const int ways = static_cast<int>(!words.empty()) + static_cast<int>(!choices.empty()) + static_cast<int>(!!json);
  if (ways > 1) return fail(ErrorCode::usage, "an answer in words, --choice and --json-answers exclude each other");
  if (!choices.empty()) return chosen(asked, choices);
  if (json) {
    auto text = *json == "-" ? read_input("-") : Result<std::string>(*json);
    if (!text) return std::unexpected(text.error());
    auto answer = answer_from_json(*text);
    if (!answer) return std::unexpected(answer.error());
    return std::move(answer->answers);
  }
  if (!words.empty()) {
    auto question = the_question(asked);
    if (!question) return std::unexpected(question.error());
    return Answers{{(*question)->text, fmt::format("{}", fmt::join(words, " "))}};
  }
  if (::isatty(STDIN_FILENO) == 1 && stdout_is_terminal()) return ask_person(asked);
  return fail(ErrorCode::usage, "no answer was given: write it behind the id, or use --choice, or --dismiss");
}

Result<Task> close(TaskManager& manager, const Call& call, const TaskId& id) {
  if (call.has("--dismiss")) {
    if (call.arguments.size() > 1 || call.has("--choice") || call.has("--json-answers"))
      return fail(ErrorCode::usage, "--dismiss means that there is no answer");
    return manager.questions().dismiss(id, call.value("--note").value_or(""));
  }
  if (call.has("--note")) return fail(ErrorCode::usage, "--note belongs to --dismiss");
  auto asked = manager.questions().get(id);
  if (!asked) return std::unexpected(asked.error());
  // A closed question is reported before the user is asked for an answer.
  auto answers = is_terminal(asked->task.status) || asked->questions.empty() ? Result<Answers>(Answers())
                                                                             : read_answers(call, *asked);
  if (!answers) return std::unexpected(answers.error());
  return manager.questions().answer(id, *answers);
}

Result<int> run_answer(Call& call) {
  auto id = call.resolve(call.arguments.empty() ? std::string_view() : std::string_view(call.arguments.front()),
                         Call::Use::acts);
  if (!id) return std::unexpected(id.error());
  auto manager = call.manager();
  if (!manager) return std::unexpected(manager.error());
  auto task = close(**manager, call, *id);
  if (!task) return std::unexpected(task.error());
  note_done(fmt::format("closed {}", id->str()));
  put_line(call.json ? task_json(*task) : fmt::format("{}  {}", id->str(), outcome_text(*task)));
  return 0;
}

}  // namespace

const Verb kAnswerVerb{"answer",       "ID [ANSWER]", "answer a question; on a terminal without an answer it asks",
                       kAnswerOptions, run_answer,    true};

}  // namespace perdure::cli
