#pragma once

#include "store/session.h"
#include <perdure/manager.h>

#include <string>
#include <vector>

// The independent parts of Upkeep::doctor(); each adds its findings.
namespace perdure::manager {

/// queue/ and slots/: entries that will not start, and slots held for tasks that do not run.
[[nodiscard]] Result<> look_at_admission(const store::Session& session, std::vector<Finding>& findings);

/// outbox/: undelivered notifications, and files that are not entries.
[[nodiscard]] Result<> look_at_outbox(const store::Session& session, std::vector<Finding>& findings);

/// Files that `remove`, `gc` or the daily sweep will have to remove and can't.
/// An empty folder: the task has none.
void look_at_removability(const std::string& record, const std::string& folder, std::vector<Finding>& findings);

/// Is that program a perdure-runner of this version?
void look_at_runner(const std::string& runner, std::vector<Finding>& findings);

}  // namespace perdure::manager
