#include "manager/link/program.h"

#include "base/error.h"
#include "base/words.h"
#include "contract/names.h"

#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <dlfcn.h>
#include <filesystem>
#include <ranges>
#include <span>

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

// Of our own installation: whether this user may run it, the exec says.
bool is_program(const std::string& path) {
  struct stat about{};
  return ::stat(path.c_str(), &about) == 0 && S_ISREG(about.st_mode) && (about.st_mode & 0111U) != 0;
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

}  // namespace

std::unexpected<Error> launch_failure(int exit_status, int os_error, std::string message) {
  return std::unexpected(Error{.code = ErrorCode::task_launch_failed,
                               .os_error = os_error,
                               .message = std::move(message),
                               .details = {{"exit", fmt::to_string(exit_status)}}});
}

namespace {

// Words of MAKEFLAGS that name descriptors. The command does not inherit those. A jobserver with a name (fifo:) is
// kept.
void drop_jobserver(std::string& flags) {
  std::string kept;
  bool is_first = true;
  for (const auto part : std::views::split(std::string_view(flags), ' ')) {
    const std::string_view word(part.begin(), part.end());
    const bool names_descriptors =
        (word.starts_with("--jobserver-auth=") && !word.contains("fifo:")) || word.starts_with("--jobserver-fds=");
    if (names_descriptors) continue;
    if (!is_first) kept += ' ';
    kept += word;
    is_first = false;
  }
  flags = std::move(kept);
}

bool is_same_folder(const std::string& a, const std::string& b) {
  struct stat one{};
  struct stat other{};
  return a.starts_with('/') && ::stat(a.c_str(), &one) == 0 && ::stat(b.c_str(), &other) == 0 &&
         one.st_ino == other.st_ino && one.st_dev == other.st_dev;
}

// Variables that describe the caller and would be wrong for the task (L59).
void make_true(std::map<std::string, std::string>& variables, const StartOptions& options, const std::string& cwd) {
  const auto pwd = variables.find("PWD");
  if (!options.clear_env && (pwd != variables.end() || !options.cwd.empty()) &&
      (pwd == variables.end() || (pwd->second != cwd && !is_same_folder(pwd->second, cwd)))) {
    variables["PWD"] = cwd;
    variables.erase("OLDPWD");
  }
  for (const char* const name : {"MAKEFLAGS", "MFLAGS"})
    if (const auto flags = variables.find(name); flags != variables.end()) drop_jobserver(flags->second);
  constexpr const char* kOfDescriptors[] = {"LISTEN_FDS",      "LISTEN_FDNAMES", "CARGO_MAKEFLAGS",
                                            "NODE_CHANNEL_FD", "BASH_XTRACEFD",  "NODE_CHANNEL_SERIALIZATION_MODE"};
  constexpr const char* kOfProcesses[] = {"LISTEN_PID",    "LISTEN_PIDFDID", "NOTIFY_SOCKET",   "WATCHDOG_PID",
                                          "WATCHDOG_USEC", "MAINPID",        "SYSTEMD_EXEC_PID"};
  // With GPG_TTY, gpg would ask for a passphrase on the caller's terminal.
  constexpr const char* kOfTheTerminal[] = {"COLUMNS", "LINES", "SSH_TTY", "GPG_TTY"};
  for (const auto& names : {std::span<const char* const>(kOfDescriptors), std::span<const char* const>(kOfProcesses),
                            std::span<const char* const>(kOfTheTerminal)})
    for (const char* const name : names) variables.erase(name);
}

std::string random_key() {
  constexpr std::size_t kBytes = 16;
  unsigned char bytes[kBytes];
  // Without randomness the machine has only just begun to boot, so waiting is right.
  for (std::size_t have = 0; have < kBytes;) {
    const ssize_t n = ::getrandom(bytes + have, kBytes - have, 0);
    if (n > 0) have += static_cast<std::size_t>(n);
  }
  std::string key;
  for (const unsigned char byte : bytes) key += fmt::format("{:02x}", byte);
  return key;
}

}  // namespace

void mark_environment(std::map<std::string, std::string>& variables, const TaskId& id, const std::string& session) {
  variables[contract::kTaskVariable] = id.str();
  variables.try_emplace(contract::kSessionVariable, session);
  variables[contract::kKeyVariable] = random_key();
}

std::map<std::string, std::string> environment_for(const StartOptions& options, const std::string& cwd) {
  std::map<std::string, std::string> variables;
  if (!options.clear_env)
    for (char** at = environ; at != nullptr && *at != nullptr; ++at) {
      const std::string_view variable = *at;
      const auto equals = variable.find('=');
      if (equals != std::string_view::npos) variables.emplace(variable.substr(0, equals), variable.substr(equals + 1));
    }
  for (const char* const own : {contract::kRunnerVariable, contract::kSessionVariable}) variables.erase(own);
  make_true(variables, options, cwd);
  for (const auto& [name, value] : options.env) variables[name] = value;  // the options take precedence
  variables.erase(contract::kRunnerVariable);
  return variables;
}

Result<std::string> find_program(const std::string& name, const std::string& path, const std::string& cwd) {
  if (name.empty()) return launch_failure(kNotFound, ENOENT, "the command is empty: give a program to run");
  const auto absolute = [&](const std::string& found) { return found.front() == '/' ? found : cwd + "/" + found; };
  if (name.contains('/')) {
    // If it can't be executed, the runner's exec reports the exact reason.
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

Result<> check_can_run(const std::string& program, const std::string& name, const std::string& cwd) {
  const std::string path = program.starts_with('/') ? program : cwd + "/" + program;
  if (::access(path.c_str(), X_OK) == 0) return {};
  const int error = errno;
  return launch_failure(error == ENOENT ? 127 : 126, error,
                        fmt::format("cannot run '{}': {}: {}", name, program, describe_errno(error)));
}

std::string shell_quoted(const std::vector<std::string>& argv) {
  std::string line;
  for (const auto& word : argv) line += (line.empty() ? "" : " ") + shell_word(word);
  return line;
}

Result<std::string> find_companion(std::string_view name) {
  char own[PATH_MAX];
  const ssize_t n = ::readlink("/proc/self/exe", own, sizeof own);
  const std::string program = folder_of(std::string(own, n > 0 ? static_cast<std::size_t>(n) : 0));
  const std::string library = folder_of(own_library_path());
  const std::array<std::string, 5> places = {program, program + "/../libexec/perdure", library + "/../libexec/perdure",
                                             library + "/../../libexec/perdure", PERDURE_LIBEXEC};
  for (const auto& place : places) {
    std::string candidate = fmt::format("{}/{}", place, name);
    if (!place.empty() && is_program(candidate)) return candidate;
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
