#pragma once

#include "store/session.h"

#include <string>

namespace perdure::manager {

/// Members of a record that say where a task of this machine runs, each behind a comma: as runner/record/identity.h, for
/// a runner that is started now. "" where something of it is not known: then the runner finds out.
[[nodiscard]] std::string identity_members(const store::Session& session);

}  // namespace perdure::manager
