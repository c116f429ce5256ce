#pragma once

#include "store/session.h"
#include <perdure/manager.h>

#include <string>
#include <vector>

// The parts of Upkeep::doctor() that stand by themselves; each adds what it finds.
namespace perdure::manager {

/// queue/ and slots/: what waits and will not start, what is held in the name of a task that does not run.
[[nodiscard]] Result<> look_at_admission(const store::Session& session, std::vector<Finding>& findings);

/// outbox/: endings that nobody was told of, and what is no entry.
[[nodiscard]] Result<> look_at_outbox(const store::Session& session, std::vector<Finding>& findings);

/// What is to be removed one day, by `remove`, `gc` or the daily sweep, and will not let itself be.
/// An empty folder: the task has none.
void look_at_removability(const std::string& record, const std::string& folder, std::vector<Finding>& findings);

/// Is that program a perdure-runner of this version?
void look_at_runner(const std::string& runner, std::vector<Finding>& findings);

}  // namespace perdure::manager
