#include "cli/integrations/mcp_install.h"

#include "base/error.h"
#include "base/files.h"
#include "cli/console/print.h"
#include "cli/console/text.h"
#include "mcp/install.h"

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <climits>
#include <cstdlib>
#include <memory>

namespace perdure::cli {
namespace {

constexpr std::size_t kLargest = 4 << 20;

Result<std::string> absolute(std::string path) {
  if (path.starts_with('/')) return path;
  const std::unique_ptr<char, decltype(&std::free)> here(::getcwd(nullptr, 0), &std::free);
  if (here == nullptr) return fail_errno("finding", "the working folder");
  return fmt::format("{}/{}", here.get(), path);
}

// This program as the client shall start it, with what was said about session and owner.
Result<mcp::CommandLine> command_line(const Call& call) {
  char self[PATH_MAX];
  const ssize_t length = ::readlink("/proc/self/exe", self, sizeof self);
  if (length <= 0) return fail_errno("reading", "/proc/self/exe");
  mcp::CommandLine command{std::string(self, static_cast<std::size_t>(length)), "mcp"};
  // A client that filters the environment of its servers (Codex) would start it on another session than this shell's.
  if (const auto chosen = call.session ? call.session : environment("PERDURE_SESSION")) {
    auto session = absolute(*chosen);
    if (!session) return std::unexpected(session.error());
    if (!call.session) note(fmt::format("perdure: with the session of PERDURE_SESSION, {}", harmless_line(*session)));
    command.insert(command.end(), {"--session", *session});
  }
  if (const auto owner = call.value("--owner")) command.insert(command.end(), {"--owner", *owner});
  return command;
}

// What a link leads to is written, not the link: people keep such files elsewhere.
std::string resolved(const std::string& path) {
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr), &std::free);
  return real == nullptr ? path : std::string(real.get());
}

Result<> write(const mcp::Client& client, const std::string& path, const mcp::CommandLine& command) {
  const std::string real = resolved(path);
  const std::string folder = real.substr(0, real.rfind('/'));
  const std::string name = real.substr(real.rfind('/') + 1);
  if (auto made = make_folders(folder); !made) return made;
  auto opened = open_folder_at(AT_FDCWD, folder, folder);
  if (!opened) return std::unexpected(opened.error());
  std::string before;
  if (::faccessat(opened->get(), name.c_str(), F_OK, 0) == 0) {
    auto text = read_regular_file(opened->get(), name, kLargest, real);
    if (!text) return std::unexpected(text.error());
    before = std::move(*text);
  }
  auto after = merged(client, before, command);
  if (!after) return fail(ErrorCode::config_invalid, fmt::format("{}: {}", path, after.error().message));
  return *after == before ? Result<>() : replace_file(opened->get(), name, *after, real);
}

}  // namespace

Result<std::string> client_file(const mcp::Client& client) {
  if (!client.folder_variable.empty())
    if (const auto folder = environment(std::string(client.folder_variable).c_str()))
      return fmt::format("{}/{}", *folder, client.file_in_folder);
  if (!client.file.starts_with("~/")) return absolute(std::string(client.file));
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
  auto command = command_line(call);
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
