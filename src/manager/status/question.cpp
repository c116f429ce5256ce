#include "manager/status/question.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/try.h"
#include "codec/question.h"
#include "contract/control.h"
#include "contract/lock_page.h"
#include "manager/link/runner_client.h"
#include "manager/status/reconcile.h"
#include "store/question.h"
#include "store/records.h"
#include "store/runner_lock.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <ctime>

namespace perdure::manager {
namespace {

constexpr std::int64_t kLockPatienceMs = 10'000;  // enough for the lock's holder to write two small files

Status status_of(QuestionOutcome outcome) {
  switch (outcome) {
    case QuestionOutcome::answered:
    case QuestionOutcome::dismissed: return Status::completed;
    case QuestionOutcome::expired: return Status::timed_out;
    case QuestionOutcome::withdrawn: return Status::killed;
  }
  std::abort();
}

Assessment ended(Task task, QuestionOutcome outcome, std::int64_t at_ms, std::string explained) {
  task.question.outcome = outcome;
  task.status = status_of(outcome);
  task.ended_at = time_at(std::max(at_ms, ms_of(task.started_at)));
  return {.task = std::move(task), .settles = true, .is_own = true, .explained = std::move(explained)};
}

// Absent: the question has no default, or question.json can't be read any more.
Result<std::optional<Answer>> stored_default(const store::Session& session, const TaskId& id) {
  auto json = store::read_question(session, id);
  if (!json && json.error().code == ErrorCode::record_invalid) return std::nullopt;
  if (!json) return std::unexpected(json.error());
  auto questions = questions_from_json(*json);
  if (!questions) return std::nullopt;
  return codec::default_answer(*questions);
}

Result<Assessment> at_deadline(const store::Session& session, Task task, std::int64_t at_ms) {
  if (task.question.on_deadline == OnDeadline::take_default) {
    TRY(auto answer, stored_default(session, task.id));
    if (answer)
      return ended(std::move(task), QuestionOutcome::answered, at_ms, "its deadline passed: the default is its answer");
  }
  return ended(std::move(task), QuestionOutcome::expired, at_ms, "its deadline passed without an answer");
}

// Call with the lock held, for a question that assess_question() reports as ended.
Result<> commit(const store::Session& session, Task& task, store::RunnerLock& lock, Telemetry& telemetry) {
  TRY(auto answer, store::read_answer(session, task.id));
  if (task.question.outcome == QuestionOutcome::answered && !answer) {
    TRY(auto defaults, stored_default(session, task.id));
    if (defaults) {
      TRY(auto draft, store::DraftAnswer::write(session, task.id, codec::encode_answer(*defaults)));
      TRY_VOID(draft.give());
    }
  }
  return commit_end(session, task, lock, telemetry);
}

std::string request_for(const Closing& closing, const std::optional<store::DraftAnswer>& draft) {
  if (draft) return fmt::format("{} {} {}", contract::kSettle, name_of(closing.outcome), draft->name());
  return fmt::format("{} -1 {}", closing.quiet ? contract::kStopQuietly : contract::kStop, closing.escaped_reason);
}

// Call with the lock of a question that has no runner.
Result<bool> close_in_its_place(const store::Session& session, const Task& recorded, const Closing& closing,
                                std::optional<store::DraftAnswer>& draft, store::RunnerLock& lock,
                                Telemetry& telemetry) {
  auto task = store::reread(recorded);
  if (!task) {
    lock.clean_up_and_release();  // the task was removed meanwhile, and taking the lock made its folder again
    return std::unexpected(task.error());
  }
  if (is_terminal(task->status)) {
    lock.clean_up_and_release();
    return false;
  }
  TRY(auto found, assess_question(session, *task));
  if (found.settles) {
    TRY_VOID(commit(session, found.task, lock, telemetry));
    return false;
  }
  *task = ended(std::move(*task), closing.outcome, now_ms(), "").task;
  if (!closing.reason.empty()) task->stop_reason = closing.reason;
  if (closing.quiet) task->notification.suppressed = true;
  if (draft) TRY_VOID(draft->give());
  TRY_VOID(commit_end(session, *task, lock, telemetry));
  return true;
}

}  // namespace

bool is_own_question(const Task& task) {
  return task.kind == Kind::question && task.question.on_deadline.has_value();
}

std::optional<std::int64_t> deadline_of(const Task& question) {
  if (!question.question.on_deadline || *question.question.on_deadline == OnDeadline::wait ||
      question.limits.timeout_ms.value_or(0) <= 0)
    return std::nullopt;
  return ms_of(question.started_at) + *question.limits.timeout_ms;
}

Result<Assessment> assess_question(const store::Session& session, Task task) {
  TRY(auto stored, store::read_answer(session, task.id));
  if (stored) {
    const auto answer = answer_from_json(stored->json);
    const bool dismissed = answer && answer->answers.empty();
    task.recovered = true;
    return ended(std::move(task), dismissed ? QuestionOutcome::dismissed : QuestionOutcome::answered,
                 stored->written_ms, "the process that answered it was killed before it wrote the record");
  }
  const auto notes = store::read_runner_notes(session, task.id);
  if (notes.decision && notes.decision->cause == contract::Cause::deadline) {
    task.recovered = true;
    return at_deadline(session, std::move(task), notes.decision->at_ms);
  }
  if (notes.decision) {
    task.recovered = true;
    if (!notes.decision->reason.empty()) task.stop_reason = notes.decision->reason;
    if (notes.decision->cause == contract::Cause::stop_quietly) task.notification.suppressed = true;
    return ended(std::move(task), QuestionOutcome::withdrawn, notes.decision->at_ms, "it was withdrawn");
  }
  // Without a runner, wall-clock time decides. A runner's timer does not advance while the machine is suspended.
  const auto deadline = deadline_of(task);
  if (deadline && now_ms() >= *deadline) return at_deadline(session, std::move(task), *deadline);
  return Assessment{
      .task = std::move(task), .is_own = true, .explained = "it waits for an answer, for which no process is needed"};
}

Result<ReconcileResult> settle_question(const store::Session& session, const Task& recorded, Telemetry& telemetry) {
  const auto as_found = [&](Assessment found) {
    return ReconcileResult{
        .task = std::move(found.task), .before = recorded.status, .explained = std::move(found.explained)};
  };
  auto found = assess(session, recorded);
  if (!found) return std::unexpected(found.error());
  if (!found->settles) return as_found(std::move(*found));
  TRY(auto lock, store::RunnerLock::take(session, recorded.id));
  if (!lock) return as_found(std::move(*found));  // another process is settling it
  // The previous holder of the lock may have decided it.
  auto again = store::reread(recorded);
  if (!again || is_terminal(again->status)) lock->clean_up_and_release();
  if (!again) return std::unexpected(again.error());
  if (is_terminal(again->status))
    return ReconcileResult{.task = std::move(*again), .before = recorded.status, .explained = "it has ended"};
  found = assess_question(session, std::move(*again));
  if (!found) return std::unexpected(found.error());
  if (!found->settles) return as_found(std::move(*found));
  TRY_VOID(commit(session, found->task, *lock, telemetry));
  ReconcileResult verdict = as_found(std::move(*found));
  verdict.changed = true;
  return verdict;
}

Result<bool> close_question(const store::Session& session, const Task& recorded, const Closing& closing,
                            Telemetry& telemetry) {
  std::optional<store::DraftAnswer> draft;
  if (!closing.output.empty()) {
    TRY(auto written, store::DraftAnswer::write(session, recorded.id, closing.output));
    draft.emplace(std::move(written));
  }
  const std::string request = request_for(closing, draft);
  const std::int64_t until = steady_ms() + kLockPatienceMs;
  while (true) {
    TRY(auto client, RunnerClient::connect(session, recorded.id));
    if (client && client->send(request)) {
      const auto answer = client->receive();
      if (answer && answer->starts_with(contract::kError)) {
        int error = EIO;
        const std::string_view number = std::string_view(*answer).substr(sizeof contract::kError);
        std::from_chars(number.data(), number.data() + number.size(), error);
        return fail_os(error, "answering", recorded.id.str());
      }
      // Waits until it is committed; the record then says how it ended.
      if (answer && client->send(contract::kWait)) static_cast<void>(client->receive(-1));
      if (!answer && client->is_silent()) return unresponsive(recorded.id);
      if (answer) return *answer == contract::kOk;
      if (draft && draft->was_given()) return true;  // the answer was written before the runner was killed
      continue;
    }
    TRY(auto lock, store::RunnerLock::take(session, recorded.id));
    if (lock) return close_in_its_place(session, recorded, closing, draft, *lock, telemetry);
    if (steady_ms() >= until)
      return fail(ErrorCode::session_unusable,
                  fmt::format("{} is held by a process that does not let go: try again", recorded.id.str()));
    const timespec a_moment{0, 1'000'000};
    ::nanosleep(&a_moment, nullptr);
  }
}

}  // namespace perdure::manager
