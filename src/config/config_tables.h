#pragma once

#include "config/toml.h"
#include <perdure/config.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

// The parts of a configuration file that may occur more than once: [[hooks]] and [agents.NAME].
namespace perdure::manager {

/// A key of such a table, for the test of the documentation.
struct TableKey {
  std::string_view name;
  std::string_view meaning;
};
inline constexpr std::array<TableKey, 3> kHookKeys = {{
    {"matcher", "regular expression, looked for in the event's name"},
    {"command", "for /bin/sh -c"},
    {"timeout", "how long it may take, 1s to 600s"},
}};
inline constexpr std::array<TableKey, 8> kAgentKeys = {{
    {"command", "an array: the program and its arguments; a string: a line for /bin/sh -c"},
    {"env", "variables of its environment"},
    {"cwd", "the folder it works in"},
    {"mode", "id of the mode it is set to, one of its own"},
    {"model", "id of the model it is set to"},
    {"permission", "the answer to its permission requests"},
    {"timeout", "the deadline of a turn, 0: none; absent: `agent_task_timeout_s`"},
    {"auth", "id of the method by which it logs in; absent: it is logged in already"},
}};

inline constexpr std::array<TableKey, 11> kExecutorKeys = {{
    {"type", "what kind of place it is"},
    {"host", "ssh: a name of your ssh configuration"},
    {"transport", "instead of `host`: an array of words that run a command at the place, as `podman exec -i NAME`"},
    {"session", "ssh: the folder there in which tasks are kept; absent: ~/.local/state/perdure/far"},
    {"install", "ssh: copy the programs there; false: use `perdure` of its PATH"},
    {"on", "ssh: an executor of that host's configuration, for a cluster behind a login host"},
    {"folder", "slurm: a folder of yours that this host and the nodes share"},
    {"options", "slurm: an array of options of sbatch"},
    {"margin", "slurm: how long before the job's time limit the task's deadline is"},
    {"lost_after", "slurm: how long nothing may be known of a job before it is called lost"},
    {"max_submitted", "slurm: how many jobs may be submitted at a time"},
}};

/// `value` is the value of `hooks` in the file at `path`; adds to the present hooks.
[[nodiscard]] Result<> read_hooks(const TomlEntry& entry, const std::string& path, Config& config);

/// The same for `agents`: each key replaces that of an earlier file, each variable of `env` by itself.
[[nodiscard]] Result<> read_agents(const TomlEntry& entry, const std::string& path, Config& config);

/// The same for `executors`: each key replaces that of an earlier file. `untrusted`: this file may not say what is
/// contacted; executors that it defines are marked.
[[nodiscard]] Result<> read_executors(const TomlEntry& entry, const std::string& path, bool untrusted, Config& config);

/// config_invalid for an unknown key, with the most similar one of `known`.
[[nodiscard]] std::unexpected<Error> unknown_key(const std::string& path, const TomlEntry& entry,
                                                 std::string_view within, const std::vector<std::string_view>& known);

}  // namespace perdure::manager
