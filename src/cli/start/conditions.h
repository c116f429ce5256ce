#pragma once

#include "cli/console/call.h"
#include "conditions/ready.h"

#include <optional>
#include <string>

namespace perdure::cli {

/// What --match and --ready ask for; where both are given, both must hold (I10).
struct Conditions {
  std::optional<std::string> match;
  std::optional<conditions::ReadyCheck> ready;
  bool since_now = false;
  [[nodiscard]] bool any() const { return match || ready; }
};

/// Errors: usage. Call before the task is started, since it notes which processes use the port already.
[[nodiscard]] Result<Conditions> read_conditions(const Call& call);

enum class Met { yes, ended, timed_out, interrupted };

/// Blocks until both hold, the task has ended or the time is over. `is_new`: the task was started after they were read.
/// Prints notes for the user on standard error.
[[nodiscard]] Result<Met> await_conditions(TaskManager& manager, const TaskId& id, Conditions& conditions,
                                           std::optional<std::chrono::milliseconds> timeout, bool is_new);

}  // namespace perdure::cli
