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

/// How a coding agent's configuration names an MCP server. Pure: the caller reads and writes the files.
struct Client {
  std::string_view name;
  std::string_view title;
  /// Path of its configuration: below the home folder or, without a leading ~/, below the project's folder.
  std::string_view file;
  /// Environment variable that names another folder, and the file in it; "" for none.
  std::string_view folder_variable, file_in_folder;
  bool is_toml = false;
};

[[nodiscard]] std::span<const Client> all_clients();
/// nullptr for an unknown name.
[[nodiscard]] const Client* find_client(std::string_view name);

/// What a client needs to start the server.
using CommandLine = std::vector<std::string>;
/// Variables for the server's environment, for clients that do not pass on their own.
using Variables = std::map<std::string, std::string>;

/// Perdure's part of a client's configuration, as in the client's file.
[[nodiscard]] std::string configuration(const Client& client, const CommandLine& command);

/// The entry alone: strict JSON, or a table of TOML.
[[nodiscard]] std::string server_entry(const Client& client, const CommandLine& command, const Variables& variables);

/// The path of the entry: the group and the server's name.
[[nodiscard]] JsonPath server_path(const Client& client);

/// The text of the whole file with that part, which replaces an older one; everything else stays unchanged, comments
/// included. Errors: config_invalid if the file is malformed.
[[nodiscard]] Result<std::string> merged(const Client& client, std::string_view file, const CommandLine& command);

}  // namespace perdure::mcp
