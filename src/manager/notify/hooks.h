#pragma once

#include "manager/link/launch_spec.h"
#include "store/session.h"
#include <perdure/manager.h>

#include <cstdint>
#include <string>
#include <vector>

namespace perdure::manager {

/// Errors: config_invalid for a matcher that is no regular expression, a timeout out of range, an empty command.
[[nodiscard]] Result<> check_hooks(const std::vector<Hook>& hooks);

/// Which command is told of what: those of the configuration first, then those of the task. The same command is told
/// of an event once, with the time limit of the first that names it. The hooks have been checked.
[[nodiscard]] std::vector<PlannedHook> plan_hooks(const std::vector<Hook>& configured,
                                                  const std::vector<std::string>& on_end);

/// What every hook of a task is told first: JSON members, without a comma at the end.
[[nodiscard]] std::string told_first(const store::Session& session, const std::string& cwd);

/// Tells the end of a task that this process has committed, since its runner could not (L34): returns once a process
/// that runs the hooks has been started. A failure is nobody's: the outcome stands.
/// `runs_on_end`: the commands of its record are signed (trust::is_on_end_signed()).
void tell_end(const store::Session& session, const ManagerOptions& options, const Task& task, bool runs_on_end);

}  // namespace perdure::manager
