#pragma once

#include "cli/console/call.h"
#include "mcp/install.h"

namespace perdure::cli {

/// `perdure mcp install CLIENT [--write]`
[[nodiscard]] Result<int> install_mcp(Call& call);

/// Where the client's configuration is, as `mcp install` writes it.
[[nodiscard]] Result<std::string> client_file(const mcp::Client& client);

}  // namespace perdure::cli
