#pragma once

#include "store/session.h"
#include <perdure/manager.h>

namespace perdure::manager {

/// The two events that a record tells; the second one of an ended task.
[[nodiscard]] Event started_event(const Task& task);
[[nodiscard]] Event terminated_event(const store::Session& session, const Task& task);

}  // namespace perdure::manager
