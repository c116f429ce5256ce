#pragma once

#include "base/error.h"
#include "cli/integrations/setup_agents.h"

#include <cstdint>
#include <string>
#include <string_view>

namespace perdure::cli {

struct ServerCheck {
  std::string server;  ///< name and version as it answered
  std::size_t tools = 0;
  std::int64_t took_ms = 0;
};

/// Reads the server's entry from the text of the agent's file, starts the server as the agent does (with the same
/// environment) and completes an MCP handshake. Errors: config_invalid, task_launch_failed; the text says what failed.
[[nodiscard]] Result<ServerCheck> check_server(const SetupAgent& agent, std::string_view text);

}  // namespace perdure::cli
