#pragma once

#include "cli/console/call.h"
#include "cli/integrations/setup_edit.h"
#include "cli/integrations/setup_record.h"
#include "mcp/install.h"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// The coding agents that `perdure setup` knows: how each is found, and which changes it needs in which file.
namespace perdure::cli {

struct SetupAgent {
  std::string_view name;  ///< as in `perdure mcp install`
  std::string_view title;
  std::string_view alias;                  ///< another name that is accepted; "" for none
  std::vector<std::string_view> programs;  ///< if any of them is in PATH, the agent is installed
  std::vector<std::string_view> traces;    ///< or if any of these exists below the home folder
  std::string_view calls_itself;           ///< its name in an MCP handshake
  bool filters_environment = false;        ///< passes only a few variables on to its servers
};

[[nodiscard]] std::span<const SetupAgent> setup_agents();
/// nullptr for an unknown name.
[[nodiscard]] const SetupAgent* find_setup_agent(std::string_view name);

/// The program or folder that proves that the agent is installed.
[[nodiscard]] std::optional<std::string> trace_of(const SetupAgent& agent);

struct FilePlan {
  std::string path;
  bool is_toml = false;
  bool has_server = false;  ///< the server's entry is in this file
  std::vector<Edit> edits;
};

/// The arguments of the agent's server.
struct SetupOptions {
  std::optional<std::string> session, owner;
};

/// The best path of this program for a configuration: absolute, and still valid after an upgrade.
[[nodiscard]] Result<std::string> stable_program();
/// Does the word `perdure` run that program?
[[nodiscard]] bool is_in_path(const std::string& program);

/// The files to be changed for the agent. `notes` gets messages for the user.
[[nodiscard]] Result<std::vector<FilePlan>> plan_for(const SetupAgent& agent, SetupOptions options,
                                                     const SetupRecord& record, std::vector<std::string>& notes);

}  // namespace perdure::cli
