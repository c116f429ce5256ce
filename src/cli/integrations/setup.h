#pragma once

#include "cli/console/call.h"

namespace perdure::cli {

/// `perdure setup [AGENT...] [--remove] [--dry-run] [--yes]`
[[nodiscard]] Result<int> set_up_agents(Call& call);

}  // namespace perdure::cli
