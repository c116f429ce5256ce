#include "cli/integrations/mcp_install.h"

#include "base/error.h"
#include "cli/console/print.h"
#include "cli/console/text.h"
#include "cli/integrations/setup_agents.h"
#include "cli/integrations/setup_file.h"
#include "mcp/install.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace perdure::cli {
namespace {

// The command line with which the client starts this program, with the given session and owner.
Result<mcp::CommandLine> command_line(const Call& call, const mcp::Client& client) {
  auto program = stable_program();
  if (!program) return std::unexpected(program.error());
  // A project's file is shared: a path on this machine would have no meaning for other users.
  const bool is_shared = !client.file.starts_with("~/");
  if (is_shared && is_in_path(*program)) *program = "perdure";
  mcp::CommandLine command{*program, "mcp"};
  // A client that filters the environment of its servers (Codex) would start it on another session than this shell's.
  if (const auto chosen = call.session ? call.session : environment("PERDURE_SESSION")) {
    auto session = absolute_path(*chosen);
    if (!session) return std::unexpected(session.error());
    if (!call.session) note(fmt::format("perdure: with the session of PERDURE_SESSION, {}", harmless_line(*session)));
    command.insert(command.end(), {"--session", *session});
  }
  if (const auto owner = call.value("--owner")) command.insert(command.end(), {"--owner", *owner});
  return command;
}

Result<> write(const mcp::Client& client, const std::string& path, const mcp::CommandLine& command) {
  auto file = read_config_file(path);
  if (!file) return std::unexpected(file.error());
  auto after = merged(client, file->text, command);
  if (!after) return fail(ErrorCode::config_invalid, fmt::format("{}: {}", path, after.error().message));
  if (*after == file->text) return {};
  if (auto reason = why_not_writable(*file)) return fail(ErrorCode::config_invalid, *reason);
  std::vector<std::string> made_folders;
  return replace_config_file(*file, *after, made_folders);
}

}  // namespace

Result<std::string> client_file(const mcp::Client& client) {
  if (!client.folder_variable.empty())
    if (const auto folder = environment(std::string(client.folder_variable).c_str()))
      return fmt::format("{}/{}", *folder, client.file_in_folder);
  if (!client.file.starts_with("~/")) return absolute_path(std::string(client.file));
  const auto home = environment("HOME");
  if (!home) return fail(ErrorCode::usage, "HOME is not set");
  return fmt::format("{}/{}", *home, client.file.substr(2));
}

Result<int> install_mcp(Call& call) {
  const mcp::Client* const client = call.arguments.size() == 2 ? mcp::find_client(call.arguments[1]) : nullptr;
  if (client == nullptr) {
    std::vector<std::string_view> names;
    for (const auto& one : mcp::all_clients()) names.push_back(one.name);
    return fail(ErrorCode::usage, fmt::format("install: name one client: {}", fmt::join(names, ", ")));
  }
  auto command = command_line(call, *client);
  auto path = client_file(*client);
  if (!command) return std::unexpected(command.error());
  if (!path) return std::unexpected(path.error());
  if (call.has("--write")) {
    if (auto written = write(*client, *path, *command); !written) return std::unexpected(written.error());
    note(fmt::format("perdure: {} starts it from now on: {}", client->title, harmless_line(*path)));
    return 0;
  }
  note(fmt::format("perdure: for {}, in {} (--write puts it there):", client->title, harmless_line(*path)));
  put(configuration(*client, *command));
  return 0;
}

}  // namespace perdure::cli
