#include "base/clock.h"
#include "base/error.h"
#include "base/try.h"
#include "codec/question.h"
#include "codec/record.h"
#include "contract/control.h"
#include "manager/link/launch_spec.h"
#include "manager/link/program.h"
#include "manager/link/spawn.h"
#include "manager/link/state.h"
#include "manager/link/task_ids.h"
#include "manager/link/telemetry.h"
#include "manager/status/find.h"
#include "manager/status/foreground.h"
#include "manager/status/question.h"
#include "manager/status/reconcile.h"
#include "manager/status/waiting.h"
#include "store/active.h"
#include "store/question.h"
#include "store/records.h"

#include <fmt/format.h>

#include <charconv>

namespace perdure {

using namespace manager;

namespace {

constexpr const char* kDismissedNote = "The question was dismissed without an answer.";

Result<> check(const AskOptions& options) {
  TRY_VOID(codec::check_questions(options.questions));
  if (options.deadline.count() < 0) return fail(ErrorCode::usage, "the deadline is negative: 0 means none");
  if (options.on_deadline == OnDeadline::take_default && options.deadline.count() > 0 &&
      !codec::default_answer(options.questions))
    return fail(ErrorCode::usage, "the deadline is to bring the default answer, and a question has none");
  if (options.belongs_to && (options.deadline.count() == 0 || options.on_deadline == OnDeadline::wait))
    return fail(ErrorCode::usage, "a question that belongs to a task needs a deadline that ends it");
  return {};
}

Task as_asked(const TaskId& id, const AskOptions& options) {
  Task task{.id = id, .kind = Kind::question, .kind_name = "question"};
  task.description = options.description.empty() ? first_line_of(options.questions.front().text) : options.description;
  task.question.count = static_cast<std::int64_t>(options.questions.size());
  task.question.tool_call_id = options.tool_call_id;
  task.question.on_deadline = options.deadline.count() > 0 ? options.on_deadline : OnDeadline::wait;
  task.owner = options.owner;
  task.labels = options.labels;
  if (options.session_lifetime) task.origin.lifetime = "session";
  if (options.deadline.count() > 0) task.limits.timeout_ms = options.deadline.count();
  return task;
}

// A question without a deadline needs no process.
Result<Task> record_alone(const store::Session& session, Task task, Telemetry& telemetry) {
  task.started_at = time_at(now_ms());
  task.started_seq = session.next_seq();
  task.found.source = session.record_path(task.id);
  TRY_VOID(store::add_to_active(session, task.id));
  TRY_VOID(store::write_record(task));
  telemetry.started_alone(task);
  return task;
}

Result<Task> start_runner(const store::Session& session, const ManagerOptions& manager, const std::string& runner,
                          Task task, const AskOptions& options) {
  Launch launch;
  launch.constant_members = codec::constant_members(task);
  // stop-owned uses this owner: the runner around it ends the question, too.
  launch.owner = options.belongs_to ? options.belongs_to->str() : options.owner.value_or("");
  launch.timeout = options.deadline;
  launch.question = true;
  launch.telemetry_file = manager.telemetry_file;
  const auto defaults = options.on_deadline == OnDeadline::take_default ? codec::default_answer(options.questions)
                                                                        : std::optional<Answer>();
  launch.argv = {defaults ? codec::encode_answer(*defaults) + "\n" : ""};
  TRY(auto spec, memory_file(launch_spec(launch)));
  TRY(auto answer, spawn_runner({.runner = runner,
                                 .session = session.path(),
                                 .id = task.id.str(),
                                 .marker = session.marker(task.id),
                                 .spec = spec,
                                 .entry = {}}));
  constexpr std::string_view kRunning = "running 0 ";
  if (!answer.line.starts_with(kRunning))
    return fail(ErrorCode::task_launch_failed,
                answer.line.empty() ? "perdure-runner ended without an answer" : "the runner: " + answer.line);
  const std::string_view started = std::string_view(answer.line).substr(kRunning.size());
  std::int64_t started_at = 0;
  std::from_chars(started.data(), started.data() + started.size(), started_at);
  task.started_at = time_at(started_at);
  task.found.source = session.record_path(task.id);
  return task;
}

std::unexpected<Error> is_closed(const Task& task) {
  const std::string_view how =
      task.question.outcome ? name_of(*task.question.outcome) : std::string_view(name_of(task.status));
  Error error{.code = ErrorCode::question_closed,
              .message = fmt::format("{} is closed, it was {} before: see `perdure show {}`", task.id.str(), how,
                                     task.id.str())};
  error.details["outcome"] = how;
  error.details["status"] = name_of(task.status);
  return std::unexpected(std::move(error));
}

// A question of Perdure's by its record. Errors: task_not_found, usage, question_closed.
Result<Task> find_open(const store::Session& session, HeldTasks& held, Telemetry& telemetry, const TaskId& id) {
  TRY(auto found, find_task(session, held, id));
  if (!found) return unknown_task(session, id);
  Task task = std::move(found->task);
  if (task.kind != Kind::question)
    return fail(ErrorCode::usage, fmt::format("{} is not a question: it is a {}", id.str(), task.kind_name));
  if (is_terminal(task.status)) return is_closed(task);
  if (!is_own_record(session, task))
    return fail(ErrorCode::usage, fmt::format("{} was asked by another program: answer it there", id.str()));
  // Is it decided already, while no record says so?
  TRY(auto verdict, settle_own(session, task, telemetry));
  if (is_terminal(verdict.task.status)) return is_closed(verdict.task);
  // The answer is the decision, even while its writer still holds the lock and has not written the record.
  TRY(auto stored, store::read_answer(session, id));
  if (!stored) return std::move(verdict.task);
  TRY(auto decided, assess_question(session, std::move(verdict.task)));
  return is_closed(decided.task);
}

Closing closing(QuestionOutcome outcome, const Answer& answer) {
  return {
      .outcome = outcome, .output = codec::encode_answer(answer), .reason = {}, .escaped_reason = {}, .quiet = false};
}

// This answer or another one was given, or the question ended otherwise: exactly one of several callers gets no error.
Result<Task> end_question(const store::Session& session, HeldTasks& held, Telemetry& telemetry, const Task& question,
                          const Closing& closing) {
  TRY(auto ours, close_question(session, question, closing, telemetry));
  TRY(auto ended, wait_for(session, held, telemetry, {.ids = {question.id}}));
  Task task = ended.only();
  if (!ours) return is_closed(task);
  return task;
}

}  // namespace

Result<Task> Questions::ask(const AskOptions& options) const {
  TRY_VOID(state_->act_and_revive());
  TRY_VOID(check(options));
  const auto& session = state_->session;
  const bool needs_runner = options.deadline.count() > 0 && options.on_deadline != OnDeadline::wait;
  std::string runner;
  if (needs_runner) {
    TRY(auto found, find_runner(state_->options.runner));
    runner = std::move(found);
  }
  TRY_VOID(session.create());
  TRY(auto id, claim_id(session, "question-"));
  Task task = as_asked(id, options);
  const std::string json = fmt::format("{{\"questions\":{}}}", questions_json(options.questions));
  Result<> written = store::write_question(session, id, json);
  if (written && codec::constant_members(task).size() > codec::kMaxRecordBytes - 65536)
    written = fail(ErrorCode::usage, "the description and the labels are too long for a record");
  auto asked = !written       ? Result<Task>(std::unexpected(written.error()))
               : needs_runner ? start_runner(session, state_->options, runner, std::move(task), options)
                              : record_alone(session, std::move(task), *state_->telemetry);
  if (!asked) {
    // It exists after all if only the runner's last line was lost.
    if (auto record = store::find_record(session, id); record && *record) return std::move(**record);
    store::remove_question(session, id);
  }
  if (asked && needs_runner) state_->telemetry->started(*asked);
  return asked;
}

Result<Task> Questions::answer(const TaskId& id, const std::map<std::string, std::string>& answers) const {
  TRY_VOID(state_->act_and_revive());
  auto task = find_open(state_->session, *state_->held, *state_->telemetry, id);
  if (!task) return task;
  TRY(auto json, store::read_question(state_->session, id));
  auto questions = questions_from_json(json);
  if (!questions) return fail(ErrorCode::record_invalid, fmt::format("{}: {}", id.str(), questions.error().message));
  TRY(auto whole, codec::complete_answer(*questions, {.answers = answers, .note = {}}));
  auto ended = end_question(state_->session, *state_->held, *state_->telemetry, *task,
                            closing(QuestionOutcome::answered, whole));
  if (ended) state_->telemetry->question_answered();
  return ended;
}

Result<Task> Questions::dismiss(const TaskId& id, const std::string& note) const {
  TRY_VOID(state_->act_and_revive());
  auto task = find_open(state_->session, *state_->held, *state_->telemetry, id);
  if (!task) return task;
  const Answer nothing{.answers = {}, .note = note.empty() ? kDismissedNote : note};
  auto ended = end_question(state_->session, *state_->held, *state_->telemetry, *task,
                            closing(QuestionOutcome::dismissed, nothing));
  if (ended) state_->telemetry->question_dismissed();
  return ended;
}

Result<AskedQuestion> Questions::get(const TaskId& id) const {
  TRY(auto task, state_->get(id));
  if (task.kind != Kind::question)
    return fail(ErrorCode::usage, fmt::format("{} is not a question: it is a {}", id.str(), task.kind_name));
  AskedQuestion asked{.task = std::move(task), .questions = {}, .answer = {}};
  if (!is_own_record(state_->session, asked.task)) return asked;  // the questions are not stored for it
  TRY(auto json, store::read_question(state_->session, id));
  auto questions = questions_from_json(json);
  if (!questions) return fail(ErrorCode::record_invalid, fmt::format("{}: {}", id.str(), questions.error().message));
  asked.questions = std::move(*questions);
  TRY(auto stored, store::read_answer(state_->session, id));
  if (stored) {
    if (auto answer = answer_from_json(stored->json)) asked.answer = std::move(*answer);
  } else if (asked.task.question.outcome == QuestionOutcome::answered) {
    asked.answer = codec::default_answer(asked.questions);  // its deadline decided, and no process has recorded it yet
  }
  return asked;
}

}  // namespace perdure
