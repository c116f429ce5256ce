#pragma once

#include <perdure/manager.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace perdure::manager {

/// The environment a command gets in `cwd`: the caller's unless cleared, without what would be false there (L59) and
/// without what marks outer tasks, then what was asked for.
[[nodiscard]] std::map<std::string, std::string> environment_for(const StartOptions& options, const std::string& cwd);

/// Adds what makes a process a part of the task: its id, its session and a new random key (L52, L60).
void mark_environment(std::map<std::string, std::string>& variables, const TaskId& id, const std::string& session);

/// The absolute path of what `name` would run, looked up in `path` as execvp does. Errors: task_launch_failed with
/// details["exit"] 127 (not found) or 126 (found, but not executable).
[[nodiscard]] Result<std::string> find_program(const std::string& name, const std::string& path,
                                               const std::string& cwd);

/// Is that program there? Before something is given up for it; the runner's exec has the last word. `name`: as it was
/// asked for. Errors: as of find_program().
[[nodiscard]] Result<> check_can_run(const std::string& program, const std::string& name, const std::string& cwd);

/// The command as one would type it: arguments that need it are quoted for sh.
[[nodiscard]] std::string shell_quoted(const std::vector<std::string>& argv);

/// Path of a program that is installed together with this one. Errors: task_launch_failed naming the places that were
/// looked at.
[[nodiscard]] Result<std::string> find_companion(std::string_view name);

/// Path of perdure-runner. Errors: task_launch_failed naming the places that were looked at.
[[nodiscard]] Result<std::string> find_runner(const std::string& configured);

[[nodiscard]] std::unexpected<Error> launch_failure(int exit_status, int os_error, std::string message);

}  // namespace perdure::manager
