#pragma once

#include "store/session.h"
#include <perdure/manager.h>

#include <string>

// What is checked of a start before anything is written.
namespace perdure::manager {

/// Checks that the options make sense together. Errors: usage, with the reason.
[[nodiscard]] Result<> check_start(const StartOptions& options);

/// Checks that each predecessor exists and that its end will be known. Errors: usage, task_not_found.
[[nodiscard]] Result<> check_predecessors(const TaskManager& manager, const store::Session& session,
                                          const StartOptions& options);

/// The absolute path in which the command is to run. Errors: task_launch_failed, if it can't run there.
[[nodiscard]] Result<std::string> working_folder(const StartOptions& options);

[[nodiscard]] bool follows(const StartOptions& options);

/// The predecessors as runner and record have them: ids with blanks between, "~" before one that may end in any way.
[[nodiscard]] std::string followed(const StartOptions& options);

}  // namespace perdure::manager
