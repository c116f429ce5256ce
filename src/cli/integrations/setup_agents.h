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

// The coding agents that `perdure setup` knows: how each is found, and what it needs in which file.
namespace perdure::cli {

struct SetupAgent {
  std::string_view name;  ///< as in `perdure mcp install`
  std::string_view title;
  std::string_view alias;                  ///< another name that is understood; "" for none
  std::vector<std::string_view> programs;  ///< any of them in PATH: it is here
  std::vector<std::string_view> traces;    ///< or any of these below the home folder
  std::string_view calls_itself;           ///< in an MCP handshake
  bool filters_environment = false;        ///< hands only a few variables on to its servers
};

[[nodiscard]] std::span<const SetupAgent> setup_agents();
/// nullptr for an unknown name.
[[nodiscard]] const SetupAgent* find_setup_agent(std::string_view name);

/// The program or folder that shows that the agent is on this machine.
[[nodiscard]] std::optional<std::string> trace_of(const SetupAgent& agent);

struct FilePlan {
  std::string path;
  bool is_toml = false;
  bool has_server = false;  ///< the server's entry is in this one
  std::vector<Edit> edits;
};

/// What the agent's server is started with, beside the program.
struct SetupOptions {
  std::optional<std::string> session, owner;
};

/// How this program is best named in a configuration: an absolute path that stays valid over an upgrade.
[[nodiscard]] Result<std::string> stable_program();
/// Does the word `perdure` run that program?
[[nodiscard]] bool is_in_path(const std::string& program);

/// The files that the agent needs changed. `notes` gets what the user should know about it.
[[nodiscard]] Result<std::vector<FilePlan>> plan_for(const SetupAgent& agent, SetupOptions options,
                                                     const SetupRecord& record, std::vector<std::string>& notes);

}  // namespace perdure::cli
