#pragma once

#include <perdure/task.h>

namespace perdure {

struct SessionState;

/// One of the answers that are offered. An answer in one's own words is always possible besides.
struct Choice {
  std::string label = {};        ///< what the answer is when it is chosen
  std::string description = {};  ///< what choosing it means; may be empty
};

/// One thing to be asked.
struct Question {
  std::string text = {};             ///< not blank, unique among those asked together
  std::string header = {};           ///< a short title, at most 12 characters; may be empty
  std::vector<Choice> options = {};  ///< none (own words only), or 2 to 4 with unique labels
  bool multi_select = false;         ///< several labels may be chosen: "a, b"
  std::optional<std::string> default_answer = {};
};

struct AskOptions {
  std::vector<Question> questions = {};   ///< 1 to 4
  std::string description = {};           ///< for people who list tasks; empty: made from the first question
  std::chrono::milliseconds deadline{0};  ///< 0: none. Enforced even if no process of Perdure runs
  OnDeadline on_deadline = OnDeadline::expire;
  std::optional<std::string> owner = {};
  std::optional<std::string> tool_call_id = {};
  std::map<std::string, std::string> labels = {};
  bool session_lifetime = false;  ///< true: session close withdraws it
  /// A task of this session that this process is a part of: its end withdraws the question, which then needs a deadline
  /// and has a runner. Absent: it is asked for its own sake.
  std::optional<TaskId> belongs_to = {};
};

/// What was answered, which is the task's output as JSON: `{"answers":{"<question>":"<answer>"},"note":"..."}`.
struct Answer {
  std::map<std::string, std::string> answers = {};  ///< by the question's text; empty: dismissed
  std::string note = {};                            ///< absent when empty
};

/// A question task with what was asked, and what was answered, if it was.
struct AskedQuestion {
  Task task;
  std::vector<Question> questions = {};
  std::optional<Answer> answer = {};
};

/// Questions out of `[{question, header?, options?: [{label, description?}], multi_select?, default?}]`, or an object
/// whose member `questions` is that. Errors: usage, naming what is wrong.
[[nodiscard]] PERDURE_API Result<std::vector<Question>> questions_from_json(std::string_view json);

/// The same shape the other way.
[[nodiscard]] PERDURE_API std::string questions_json(const std::vector<Question>& questions);

/// Answers out of `{"<question>": "<answer>" | ["<label>", ...]}`, or an object whose member `answers` is that.
[[nodiscard]] PERDURE_API Result<Answer> answer_from_json(std::string_view json);

/// Questions to a person, each a task: TaskManager::questions().
class PERDURE_API Questions {
 public:
  /// Asks. The task runs until it is answered, from any process; without a deadline no process lives for it. Errors:
  /// usage, task_launch_failed.
  [[nodiscard]] Result<Task> ask(const AskOptions& options) const;

  /// Answers every question of the task, by its text; those left out get their defaults. Returns once the answer is
  /// committed. Of two who answer at once exactly one succeeds. Errors: usage, question_closed (details["outcome"]).
  [[nodiscard]] Result<Task> answer(const TaskId& id, const std::map<std::string, std::string>& answers) const;

  /// Ends a question without an answer. `note`: why, for the caller of ask(). Errors: as of answer().
  [[nodiscard]] Result<Task> dismiss(const TaskId& id, const std::string& note = {}) const;

  /// What was asked, and what was answered. Errors: usage where it is not a question. Of another program's question only
  /// the task is known.
  [[nodiscard]] Result<AskedQuestion> get(const TaskId& id) const;

 private:
  friend class TaskManager;
  explicit Questions(SessionState& state) : state_(&state) {}
  SessionState* state_;
};

}  // namespace perdure
