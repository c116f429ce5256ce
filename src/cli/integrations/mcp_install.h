#pragma once

#include "cli/console/call.h"
#include "mcp/install.h"

namespace perdure::cli {

/// `perdure mcp install CLIENT [--write]`
[[nodiscard]] Result<int> install_mcp(Call& call);

/// The path of the client's configuration, as `mcp install` uses it.
[[nodiscard]] Result<std::string> client_file(const mcp::Client& client);

}  // namespace perdure::cli
