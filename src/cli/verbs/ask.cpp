#include "base/error.h"
#include "cli/console/call.h"
#include "cli/console/input.h"
#include "cli/console/print.h"
#include "cli/start/waiting.h"
#include "cli/text/question_text.h"
#include "cli/verbs/verbs.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <array>

namespace perdure::cli {
namespace {

constexpr std::array<std::string_view, 3> kOnDeadline = {"wait", "default", "expire"};
constexpr std::array<std::string_view, 2> kLifetimes = {"detached", "session"};

constexpr Option kAskOptions[] = {
    {"--choice", "LABEL[=DESCRIPTION]", "an answer to choose, 2 to 4 of them; own words are always possible", true},
    {"--header", "TEXT", "a short title, at most 12 characters"},
    {"--multi", nullptr, "several may be chosen"},
    {"--default", "ANSWER", "what an empty answer, or the deadline, means"},
    {"--deadline", "D", "how long it may take: 30s, 5m, 2h (default: for ever)"},
    {"--on-deadline", "wait|default|expire", "what then: wait on, take the default, or end it"},
    {"--questions", "FILE|-", "1 to 4 questions as JSON, from a file or standard input"},
    {"--description", "TEXT", "what it is about, as list shows it"},
    {"--lifetime", "detached|session", "session: withdrawn by the session's close (default: detached)"},
    {"--owner", "O", "the owner, who is notified of the answer"},
    {"--tool-call", "ID", "the tool call it belongs to"},
    {"--label", "K=V", "a label of your own", true},
    {"--wait", nullptr, "wait for the answer and print it"},
};

Result<std::vector<Question>> what_to_ask(const Call& call) {
  const auto file = call.value("--questions");
  if (!file) {
    Question question{.text = fmt::format("{}", fmt::join(call.arguments, " ")),
                      .header = call.value("--header").value_or(""),
                      .options = {},
                      .multi_select = call.has("--multi"),
                      .default_answer = call.value("--default")};
    if (question.text.empty()) return fail(ErrorCode::usage, "nothing to ask: write `perdure ask 'QUESTION'`");
    for (const auto& text : call.values("--choice")) {
      const auto equals = text.find('=');
      question.options.push_back(
          {.label = text.substr(0, equals), .description = equals == std::string::npos ? "" : text.substr(equals + 1)});
    }
    return std::vector<Question>{std::move(question)};
  }
  if (!call.arguments.empty() || call.has("--choice") || call.has("--header") || call.has("--multi") ||
      call.has("--default"))
    return fail(ErrorCode::usage, "--questions holds everything that is asked: leave out the rest");
  auto json = read_input(*file);
  if (!json) return std::unexpected(json.error());
  return questions_from_json(*json);
}

Result<AskOptions> read_options(const Call& call) {
  AskOptions ask;
  auto questions = what_to_ask(call);
  if (!questions) return std::unexpected(questions.error());
  auto deadline = call.duration("--deadline");
  auto policy = call.word("--on-deadline", kOnDeadline);
  auto lifetime = call.word("--lifetime", kLifetimes);
  auto labels = pairs(call, "--label");
  for (const Error* error : {deadline ? nullptr : &deadline.error(), policy ? nullptr : &policy.error(),
                             lifetime ? nullptr : &lifetime.error(), labels ? nullptr : &labels.error()})
    if (error != nullptr) return std::unexpected(*error);
  if (*policy && !*deadline)
    return fail(ErrorCode::usage, "--on-deadline says what a deadline does: give --deadline, too");
  ask.questions = std::move(*questions);
  ask.deadline = deadline->value_or(ask.deadline);
  // With a default and a deadline, the default is the answer at the deadline.
  const bool has_defaults = call.has("--default");
  const std::string_view word = *policy ? std::string_view(**policy) : has_defaults ? "default" : "expire";
  for (const OnDeadline one : {OnDeadline::wait, OnDeadline::take_default, OnDeadline::expire})
    if (name_of(one) == word) ask.on_deadline = one;
  ask.description = call.value("--description").value_or("");
  ask.session_lifetime = *lifetime == "session";
  ask.owner = call.value("--owner");
  ask.tool_call_id = call.value("--tool-call");
  ask.labels = std::move(*labels);
  return ask;
}

Result<int> print_answer(TaskManager& manager, const TaskId& id, bool json) {
  auto asked = manager.questions().get(id);
  if (!asked) return std::unexpected(asked.error());
  if (json) {
    put_line(asked_json(*asked));
  } else {
    put(answer_text(*asked, stdout_is_terminal()));
    if (asked->task.question.outcome != QuestionOutcome::answered)
      note(fmt::format("perdure: {}: {}", id.str(), outcome_text(asked->task)));
  }
  return exit_status_of(asked->task);
}

Result<int> run_ask(Call& call) {
  auto ask = read_options(call);
  if (!ask) return std::unexpected(ask.error());
  auto manager = call.manager();
  if (!manager) return std::unexpected(manager.error());
  auto task = (*manager)->questions().ask(*ask);
  if (!task) return std::unexpected(task.error());
  note_done(fmt::format("asked {}", task->id.str()));
  if (call.json) {
    put_line(task_json(*task));
  } else if (call.has("--wait")) {
    note(fmt::format("perdure: asked: answer it with `perdure answer {}`", task->id.str()));
  } else {
    put_line(task->id.str());
  }
  if (!call.has("--wait")) return 0;
  auto waited = wait_with_progress(**manager, {.ids = {task->id}});
  if (!waited) return std::unexpected(waited.error());
  if (waited->interrupted) return kInterrupted;
  return print_answer(**manager, task->id, call.json);
}

}  // namespace

const Verb kAskVerb{"ask", "QUESTION", "ask a person a question; prints the id of the question", kAskOptions, run_ask};

}  // namespace perdure::cli
