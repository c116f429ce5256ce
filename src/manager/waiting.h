#pragma once

#include "store/session.h"

namespace perdure::manager {

/// The task of that session which this process is a part of; absent: none.
[[nodiscard]] std::optional<TaskId> task_inside(const store::Session& session);

}  // namespace perdure::manager
