#include "base/utf8.h"
#include "rpc/methods/methods.h"

// question.*
namespace perdure::rpc {
namespace {

Reply ask(Request& request) {
  auto questions = questions_from_json(json::serialize(*request.find("questions")));
  if (!questions) return failed(questions.error());
  AskOptions options{.questions = std::move(*questions),
                     .description = request.text("description").value_or(""),
                     .deadline = request.time("deadlineMs").value_or(std::chrono::milliseconds(0)),
                     .on_deadline = OnDeadline::expire,
                     .owner = request.owner(),
                     .tool_call_id = request.text("toolCallId"),
                     .labels = request.map("labels"),
                     .session_lifetime = request.text("lifetime") == "session",
                     .belongs_to = {}};
  const auto policy = request.text("onDeadline");
  if (policy && options.deadline.count() == 0) return refused("onDeadline: expected deadlineMs, too");
  for (const OnDeadline one : {OnDeadline::wait, OnDeadline::take_default, OnDeadline::expire})
    if (policy == name_of(one)) options.on_deadline = one;
  auto task = request.manager().questions().ask(options);
  if (!task) return failed(task.error());
  return json::object{{"task", task_json(*task)}};
}

json::object asked_json(const AskedQuestion& asked) {
  json::object json{{"task", task_json(asked.task)}, {"questions", parsed(questions_json(asked.questions))}};
  if (asked.answer) {
    json::object answers;
    for (const auto& [question, answer] : asked.answer->answers)
      answers[to_valid_utf8(question)] = to_valid_utf8(answer);
    json::object answer{{"answers", std::move(answers)}};
    if (!asked.answer->note.empty()) answer["note"] = to_valid_utf8(asked.answer->note);
    json["answer"] = std::move(answer);
  }
  return json;
}

Reply get_question(Request& request) {
  auto id = request.id();
  if (!id) return failed(id.error());
  auto asked = request.manager().questions().get(*id);
  if (!asked) return failed(asked.error());
  return asked_json(*asked);
}

Result<Task> close_question(Request& request, const TaskId& id) {
  if (request.is_true("dismiss")) return request.manager().questions().dismiss(id, request.text("note").value_or(""));
  // A list of labels is accepted too, as in the record.
  auto answer = answer_from_json(json::serialize(*request.find("answers")));
  if (!answer) return std::unexpected(answer.error());
  return request.manager().questions().answer(id, answer->answers);
}

Reply answer(Request& request) {
  auto id = request.id();
  if (!id) return failed(id.error());
  if (request.is_true("dismiss") == (request.find("answers") != nullptr))
    return refused("expected one of answers and dismiss");
  auto task = close_question(request, *id);
  if (!task) return failed(task.error());
  auto asked = request.manager().questions().get(*id);
  if (!asked) return failed(asked.error());
  return asked_json(*asked);
}

constexpr Field kAskParams[] = {
    {"questions", "Question[]", "1 to 4", true},
    {"description", "string", "for people who list tasks; made from the first question if absent"},
    {"deadlineMs", "integer", "how long it may take; 0: for ever"},
    {"onDeadline", "wait|default|expire", "what then (default: expire)"},
    {"owner", "string", "who is notified of the answer (else the connection's)"},
    {"toolCallId", "string", "the tool call it belongs to"},
    {"labels", "{string}", "labels of your own"},
    {"lifetime", "detached|session", "session: session.close withdraws it"},
};
constexpr Field kAskResult[] = {{"task", "Task", "", true}};
constexpr Field kQuestionId[] = {{"id", "string", "exact id of a question", true}};
constexpr Field kAsked[] = {
    {"task", "Task", "", true},
    {"questions", "Question[]", "what was asked", true},
    {"answer", "Answer", "what was answered"},
};
constexpr Field kAnswerParams[] = {
    {"id", "string", "exact id of a question", true},
    {"answers", "object", "by the question's text: the answer, or a list of labels; those left out get their defaults"},
    {"dismiss", "boolean", "instead: end it without an answer"},
    {"note", "string", "with dismiss: why"},
};

constexpr Method kQuestionMethods[] = {
    {.name = "question.ask",
     .help = "Asks; the task runs until it is answered, from any process.",
     .writes = true,
     .repeat = Repeat::uncertain,
     .params = kAskParams,
     .result = kAskResult,
     .handle = ask},
    {.name = "question.get",
     .help = "What was asked, and what was answered.",
     .params = kQuestionId,
     .result = kAsked,
     .handle = get_question},
    {.name = "question.answer",
     .help = "Answers all questions of a task, or dismisses them. Of two who answer at once exactly one succeeds.",
     .writes = true,
     .repeat = Repeat::no,
     .params = kAnswerParams,
     .result = kAsked,
     .handle = answer},
};

}  // namespace

std::span<const Method> question_methods() {
  return kQuestionMethods;
}

}  // namespace perdure::rpc
