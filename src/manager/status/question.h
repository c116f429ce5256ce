#pragma once

#include "manager/link/telemetry.h"
#include "manager/status/assess.h"
#include "store/session.h"
#include <perdure/question.h>

#include <optional>
#include <string>

// A question has no process that must live for it: a runner only holds its deadline, and where there is none, whoever
// holds runner.lock decides. The decision is output.log (store/question.h), a note in runner.lock, or the clock.
namespace perdure::manager {

/// Was it asked by Perdure? Other programs' questions are theirs to answer.
[[nodiscard]] bool is_own_question(const Task& task);

/// When its deadline decides, ms since the epoch; absent: never.
[[nodiscard]] std::optional<std::int64_t> deadline_of(const Task& question);

/// What can be said of a question of ours that is open by its record and that no runner has.
[[nodiscard]] Result<Assessment> assess_question(const store::Session& session, Task task);

/// Settles such a question, if it was decided: by a runner that was killed since, or by the clock.
[[nodiscard]] Result<ReconcileResult> settle_question(const store::Session& session, const Task& recorded,
                                                      Telemetry& telemetry);

/// A wish to end a question.
struct Closing {
  QuestionOutcome outcome = QuestionOutcome::answered;
  std::string output;          ///< the answer as JSON; "" for a withdrawal
  std::string reason;          ///< of a withdrawal
  std::string escaped_reason;  ///< as the runner takes it
  bool quiet = false;          ///< its owner's own wish (L45)
};

/// Ends an open question of ours, through its runner or in its place. False: it was decided otherwise before. Returns
/// once the record is committed, or will be by whoever looks next.
[[nodiscard]] Result<bool> close_question(const store::Session& session, const Task& recorded, const Closing& closing,
                                          Telemetry& telemetry);

}  // namespace perdure::manager
