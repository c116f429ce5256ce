#include "mcp/service/describe.h"
#include "mcp/service/tool.h"
#include "mcp/session/elicitation.h"
#include "mcp/session/server.h"

#include <fmt/format.h>

namespace perdure::mcp {
namespace {

constexpr std::string_view kQuestionsSchema = R"json({"type": "array", "minItems": 1, "maxItems": 4,
  "description": "What to ask, each with a text of its own.",
  "items": {"type": "object", "required": ["question", "header", "options"], "additionalProperties": false, "properties": {
    "question": {"type": "string", "description": "The question, as the person reads it."},
    "header": {"type": "string", "maxLength": 12, "description": "A title of one or two words."},
    "options": {"type": "array", "minItems": 2, "maxItems": 4,
      "description": "Answers to choose from, with labels of their own. An answer in own words is always possible.",
      "items": {"type": "object", "required": ["label", "description"], "additionalProperties": false, "properties": {
        "label": {"type": "string", "description": "The answer."},
        "description": {"type": "string", "description": "What choosing it means."}}}},
    "multi_select": {"type": "boolean", "default": false, "description": "Several may be chosen."}}}})json";

constexpr Parameter kQuestionParameters[] = {
    {.name = "questions",
     .type = Parameter::Type::any,
     .description = "",
     .required = true,
     .schema = kQuestionsSchema},
    {.name = "background",
     .type = Parameter::Type::boolean,
     .description = "Do not wait: you get a task_id.",
     .default_text = "false"},
};
constexpr Parameter kQuestionAnswers[] = {
    {.name = "answers", .type = Parameter::Type::any, .description = "by question; empty when it was dismissed"},
    {.name = "note", .description = "why there is no answer"},
    {.name = "task_id", .description = "of a question that is still open"},
    {.name = "status", .description = "running while it is open"},
};

std::expected<std::vector<Question>, std::string> questions_in(const Arguments& arguments) {
  auto questions = questions_from_json(json::serialize(arguments.all().at("questions")));
  if (!questions) return std::unexpected("questions: " + questions.error().message);
  for (const auto& question : *questions) {
    if (question.options.size() < 2)
      return std::unexpected(fmt::format("questions: '{}' needs 2 to 4 options", question.text));
    if (question.header.empty()) return std::unexpected(fmt::format("questions: '{}' needs a header", question.text));
  }
  return std::move(*questions);
}

TaskStarted open_question(ToolCall& call, Task task) {
  call.service.note_started(task.id);
  ToolResult told;
  told.structured = {{"task_id", task.id.str()}, {"status", name_of(task.status)}};
  if (call.request.asks_for_task()) told.structured["automatic_notification"] = true;
  told.structured["next"] = call.words(
      fmt::format("The question is open. The person can answer it with `perdure answer {}`; @WaitFor waits for the "
                  "answer, which also comes with your next call of a tool of this server",
                  task.id.str()));
  told.text = lines_of(told.structured);
  return {std::move(task), std::move(told)};
}

ToolAnswer answered(ToolCall& call, const TaskId& id) {
  auto asked = call.manager().questions().get(id);
  if (!asked) return tool_error(asked.error());
  return result_of_question(*asked);
}

// If the call is cancelled, the question is withdrawn. Otherwise it stays open, whatever happens to the form.
ToolAnswer ask_in_conversation(ToolCall& call, const std::vector<Question>& questions, const Task& task) {
  auto now = ask_by_form(call.service, call.request, questions, task.id);
  if (!now) return tool_error(now.error());
  if (!is_terminal(now->status) && call.request.call.why == jsonrpc::Call::Ended::cancelled) {
    now = call.manager().stop(task.id, {.reason = "Interrupted", .by = call.owner()});
    if (!now) return tool_error(now.error());
  }
  if (is_terminal(now->status)) return answered(call, task.id);
  return open_question(call, std::move(*now));
}

// The modern era can't ask within a call: the answer says that input is needed, and the client calls again with it. No
// state is kept in between; the client sends the questions again.
ToolAnswer ask_by_rounds(ToolCall& call, const std::vector<Question>& questions) {
  const auto* const responses = call.request.param("inputResponses");
  const auto* const response =
      responses != nullptr && responses->is_object() ? responses->get_object().if_contains(kAnswerKey) : nullptr;
  const auto form = response == nullptr ? std::nullopt : read_form(questions, *response);
  if (form && form->is_dismissed)
    return result_of_answer({.answers = {}, .note = dismissal_note(asked_ago_ms(call.request))});
  if (form && form->is_complete) return result_of_answer({.answers = form->answers, .note = ""});
  return InputNeeded{{{kAnswerKey, json::object{{"method", "elicitation/create"},
                                                {"params", form_for(questions, call.request.caller)}}}},
                     asked_now()};
}

ToolAnswer ask(ToolCall& call) {
  auto questions = questions_in(call.arguments);
  if (!questions) return tool_error(questions.error());
  const bool background = call.arguments.is_true("background") || call.request.asks_for_task();
  const bool has_forms = call.request.caller.has("elicitation");
  if (!background && has_forms && call.request.caller.era == Era::modern) return ask_by_rounds(call, *questions);
  auto task = call.manager().questions().ask({.questions = *questions, .owner = call.owner()});
  if (!task) return tool_error(task.error());
  if (background || !can_be_asked(call.request)) return open_question(call, std::move(*task));
  return ask_in_conversation(call, *questions, *task);
}

}  // namespace

const Tool kAskUserQuestionTool{
    .name = "AskUserQuestion",
    .title = "Ask the person",
    .description =
        "Asks the person one to four questions with answers to choose from; an own answer is always possible. In the "
        "background the question is a task that stays open until it is answered, also on the command line.",
    .parameters = kQuestionParameters,
    .answers = kQuestionAnswers,
    .open_world = true,
    .may_be_task = true,
    .call = ask};

}  // namespace perdure::mcp
