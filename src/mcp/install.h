#pragma once

#include "mcp/json_edit.h"
#include <perdure/error.h>

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace perdure::mcp {

/// How a coding agent is told of an MCP server. Pure: files are the caller's.
struct Client {
  std::string_view name;
  std::string_view title;
  /// Where its configuration is: below the home folder, or, without a leading ~/, below the project's.
  std::string_view file;
  /// A variable that names another folder for it, and the file in there; "" for none.
  std::string_view folder_variable, file_in_folder;
  bool is_toml = false;
};

[[nodiscard]] std::span<const Client> all_clients();
/// nullptr for a name that is none.
[[nodiscard]] const Client* find_client(std::string_view name);

/// What a client needs to start the server.
using CommandLine = std::vector<std::string>;
/// Variables for the server's environment, for clients that do not hand on their own.
using Variables = std::map<std::string, std::string>;

/// The part of a client's configuration that is about Perdure, as it stands in its file.
[[nodiscard]] std::string configuration(const Client& client, const CommandLine& command);

/// The entry alone: strict JSON, or a table of TOML.
[[nodiscard]] std::string server_entry(const Client& client, const CommandLine& command, const Variables& variables);

/// Where the entry is: the group and the server's name.
[[nodiscard]] JsonPath server_path(const Client& client);

/// The text of the whole file with that part in it, in the place of an older one; everything else as it was, comments
/// too. Errors: config_invalid where the file is malformed.
[[nodiscard]] Result<std::string> merged(const Client& client, std::string_view file, const CommandLine& command);

}  // namespace perdure::mcp
