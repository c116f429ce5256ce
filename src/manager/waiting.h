#pragma once

#include "store/session.h"

namespace perdure::manager {

/// Is this process part of that task?
[[nodiscard]] bool runs_inside(const store::Session& session, const TaskId& id);

/// The error for an id that names nothing (L47).
[[nodiscard]] std::unexpected<Error> unknown_task(const store::Session& session, const TaskId& id);

}  // namespace perdure::manager
