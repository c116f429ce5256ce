#pragma once

#include "cli/console/call.h"

namespace perdure::cli {

/// `perdure mcp install CLIENT [--write]`
[[nodiscard]] Result<int> install_mcp(Call& call);

}  // namespace perdure::cli
