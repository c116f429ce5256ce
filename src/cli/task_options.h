#pragma once

#include "cli/call.h"

namespace perdure::cli {

/// What can be said of any task that is started: --description --cwd --env --clear-env --timeout --grace --output-limit
/// --on-output-limit --lifetime --owner --tool-call --label --on-end --idempotency-key --queue --priority --after. What is
/// not given stays as it is in `start`. Errors: usage.
[[nodiscard]] Result<> read_task_options(const Call& call, StartOptions& start);

/// With --wait: waits for the task and prints its record, if that is wanted; the exit status that stands for its outcome.
[[nodiscard]] Result<int> wait_for_outcome(TaskManager& manager, const Task& task, bool json);

}  // namespace perdure::cli
