#include "manager/link/program.h"

#include "base/error.h"
#include "contract/names.h"

#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>
#include <ranges>

#ifndef PERDURE_LIBEXEC
#define PERDURE_LIBEXEC ""
#endif

namespace perdure::manager {
namespace {

constexpr int kNotFound = 127, kNotExecutable = 126;
constexpr std::string_view kDefaultPath = "/usr/local/bin:/usr/bin:/bin";
constexpr std::string_view kRunnerName = "perdure-runner";

bool is_executable_file(const std::string& path) {
  struct stat about{};
  return ::stat(path.c_str(), &about) == 0 && S_ISREG(about.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

std::string folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "." : path.substr(0, slash);
}

std::string own_library_path() {
  Dl_info about{};
  static const char here = 0;
  if (::dladdr(&here, &about) == 0 || about.dli_fname == nullptr) return {};
  return about.dli_fname;
}

std::string environment(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool needs_quotes(std::string_view word) {
  return word.empty() || !std::ranges::all_of(word, [](unsigned char c) {
           return std::isalnum(c) != 0 || std::string_view("_-./=:,@%+").contains(static_cast<char>(c));
         });
}

}  // namespace

std::unexpected<Error> launch_failure(int exit_status, int os_error, std::string message) {
  return std::unexpected(Error{.code = ErrorCode::task_launch_failed,
                               .os_error = os_error,
                               .message = std::move(message),
                               .details = {{"exit", fmt::to_string(exit_status)}}});
}

std::map<std::string, std::string> environment_for(const StartOptions& options, const std::string& marker) {
  std::map<std::string, std::string> variables;
  if (!options.clear_env)
    for (char** at = environ; at != nullptr && *at != nullptr; ++at) {
      const std::string_view variable = *at;
      const auto equals = variable.find('=');
      if (equals != std::string_view::npos) variables.emplace(variable.substr(0, equals), variable.substr(equals + 1));
    }
  for (const auto& [name, value] : options.env) variables[name] = value;
  variables.erase(contract::kRunnerVariable);
  variables[contract::kTaskVariable] = marker;
  return variables;
}

Result<std::string> find_program(const std::string& name, const std::string& path, const std::string& cwd) {
  if (name.empty()) return launch_failure(kNotFound, ENOENT, "the command is empty: give a program to run");
  const auto absolute = [&](const std::string& found) { return found.front() == '/' ? found : cwd + "/" + found; };
  if (name.contains('/')) {
    // The runner's exec gives the exact reason where it can't be run.
    return absolute(name);
  }
  std::string refused;
  for (const auto part : std::views::split(path.empty() ? kDefaultPath : std::string_view(path), ':')) {
    const std::string folder(part.begin(), part.end());
    std::string candidate = absolute((folder.empty() ? "." : folder) + "/" + name);
    if (is_executable_file(candidate)) return candidate;
    if (::access(candidate.c_str(), F_OK) == 0 && refused.empty()) refused = candidate;
  }
  if (!refused.empty())
    return launch_failure(kNotExecutable, EACCES,
                          fmt::format("cannot run '{}': {} is not an executable file", name, refused));
  return launch_failure(kNotFound, ENOENT,
                        fmt::format("cannot run '{}': not found in PATH: for a shell line use -c", name));
}

std::string shell_quoted(const std::vector<std::string>& argv) {
  std::string line;
  for (const auto& word : argv) {
    if (!line.empty()) line += ' ';
    if (!needs_quotes(word)) {
      line += word;
      continue;
    }
    line += '\'';
    for (const char c : word) line += c == '\'' ? std::string("'\\''") : std::string(1, c);
    line += '\'';
  }
  return line;
}

Result<std::string> find_companion(std::string_view name) {
  std::error_code ignored;
  const std::string program = folder_of(std::filesystem::read_symlink("/proc/self/exe", ignored).string());
  const std::string library = folder_of(own_library_path());
  const std::array<std::string, 5> places = {program, program + "/../libexec/perdure", library + "/../libexec/perdure",
                                             library + "/../../libexec/perdure", PERDURE_LIBEXEC};
  for (const auto& place : places) {
    std::string candidate = fmt::format("{}/{}", place, name);
    if (!place.empty() && is_executable_file(candidate)) return candidate;
  }
  return launch_failure(
      kNotFound, ENOENT,
      fmt::format("{} was not found beside this program ({}) nor in {}", name, program, PERDURE_LIBEXEC));
}

Result<std::string> find_runner(const std::string& configured) {
  if (!configured.empty()) return configured;
  if (std::string chosen = environment("PERDURE_RUNNER_PATH"); !chosen.empty()) return chosen;
  auto found = find_companion(kRunnerName);
  if (!found) found.error().message += ": set PERDURE_RUNNER_PATH";
  return found;
}

}  // namespace perdure::manager
