#pragma once

#include "manager/link/telemetry.h"
#include "manager/status/assess.h"
#include "store/session.h"
#include <perdure/question.h>

#include <optional>
#include <string>

// A question needs no living process. A runner only holds its deadline; without a runner, the process that holds
// runner.lock decides. The decision is output.log (store/question.h), a note in runner.lock, or the clock.
namespace perdure::manager {

/// Was it asked by Perdure? Questions of other programs are answered by those programs only.
[[nodiscard]] bool is_own_question(const Task& task);

/// The deadline, in ms since the epoch; absent: it has none.
[[nodiscard]] std::optional<std::int64_t> deadline_of(const Task& question);

/// Assesses a question of Perdure's whose record says that it is open and that has no runner.
[[nodiscard]] Result<Assessment> assess_question(const store::Session& session, Task task);

/// Settles such a question if it was decided: by a runner that was killed afterwards, or by its deadline.
[[nodiscard]] Result<ReconcileResult> settle_question(const store::Session& session, const Task& recorded,
                                                      Telemetry& telemetry);

/// A request to close a question.
struct Closing {
  QuestionOutcome outcome = QuestionOutcome::answered;
  std::string output;          ///< the answer as JSON; "" for a withdrawal
  std::string reason;          ///< of a withdrawal
  std::string escaped_reason;  ///< the same, escaped as the runner expects it
  bool quiet = false;          ///< requested by the owner, who is not notified (L45)
};

/// Closes an open question of Perdure's, through its runner or, without one, by this process. False: it was already
/// decided. When this returns, the record is committed, or the next process that looks at the question commits it.
[[nodiscard]] Result<bool> close_question(const store::Session& session, const Task& recorded, const Closing& closing,
                                          Telemetry& telemetry);

}  // namespace perdure::manager
