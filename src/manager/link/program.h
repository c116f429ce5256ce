#pragma once

#include <perdure/manager.h>

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace perdure::manager {

/// The environment of a command in `cwd`: the caller's unless cleared, without variables that would be wrong there
/// (L59) and without the marks of outer tasks, then the requested variables.
[[nodiscard]] std::map<std::string, std::string> environment_for(const StartOptions& options, const std::string& cwd);

/// Adds the marks that make a process a part of the task: its id, its session and a new random key (L52, L60).
void mark_environment(std::map<std::string, std::string>& variables, const TaskId& id, const std::string& session);

/// The absolute path of the program `name`, looked up in `path` as execvp does. Errors: task_launch_failed with
/// details["exit"] 127 (not found) or 126 (found, but not executable).
[[nodiscard]] Result<std::string> find_program(const std::string& name, const std::string& path,
                                               const std::string& cwd);

/// Checks that a program can be executed, before another task is stopped for it. The runner's exec may still fail.
/// `name`: as the caller gave it. Errors: as of find_program().
[[nodiscard]] Result<> check_can_run(const std::string& program, const std::string& name, const std::string& cwd);

/// The command as typed in a shell: arguments are quoted for sh if needed.
[[nodiscard]] std::string shell_quoted(const std::vector<std::string>& argv);

/// Path of a program that is installed together with this one. Errors: task_launch_failed naming the places that were
/// searched.
[[nodiscard]] Result<std::string> find_companion(std::string_view name);

/// Path of perdure-runner. Errors: task_launch_failed naming the places that were searched.
[[nodiscard]] Result<std::string> find_runner(const std::string& configured);

[[nodiscard]] std::unexpected<Error> launch_failure(int exit_status, int os_error, std::string message);

}  // namespace perdure::manager
