#pragma once

#include "manager/link/launch_spec.h"
#include "store/session.h"
#include <perdure/manager.h>

#include <cstdint>
#include <string>
#include <vector>

namespace perdure::manager {

/// Errors: config_invalid for a matcher that is not a regular expression, a timeout out of range, an empty command.
[[nodiscard]] Result<> check_hooks(const std::vector<Hook>& hooks);

/// Works out which hook commands run for which events: those of the configuration first, then those of the task. The
/// same command runs once for an event, with the time limit of its first entry. The hooks must have been checked.
[[nodiscard]] std::vector<PlannedHook> plan_hooks(const std::vector<Hook>& configured,
                                                  const std::vector<std::string>& on_end);

/// The first JSON members of the input of a task's hooks, without a comma at the end.
[[nodiscard]] std::string told_first(const store::Session& session, const std::string& cwd);

/// Runs the hooks for the end of a task that this process has committed, since its runner could not (L34). Returns once
/// a process that runs them has been started. Best effort: errors are ignored.
/// `runs_on_end`: the commands of its record are signed (trust::is_on_end_signed()).
void tell_end(const store::Session& session, const ManagerOptions& options, const Task& task, bool runs_on_end);

}  // namespace perdure::manager
