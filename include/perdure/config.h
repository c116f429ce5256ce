#pragma once

#include <perdure/agent.h>
#include <perdure/executor.h>

namespace perdure {

/// One setting and where it comes from: "default", "FILE:LINE", or the name of an environment variable.
template <class T>
struct Setting {
  T value{};
  std::string from = "default";
};

/// A command that runs when something happens to a task.
struct ConfiguredHook {
  std::string matcher = {};          ///< ECMAScript regular expression, looked for in the event's name; empty: all
  std::string command = {};          ///< for /bin/sh -c
  std::chrono::seconds timeout{30};  ///< 1 to 600
  std::string from = {};
};

/// One `[agents.NAME]`. What is absent is the built-in entry's of that name, if there is one.
struct ConfiguredAgent {
  std::vector<std::string> command = {};  ///< with its arguments; empty: not given
  std::map<std::string, std::string> env = {};
  std::optional<std::string> cwd = {};  ///< absolute
  std::optional<std::string> mode = {};
  std::optional<std::string> model = {};
  std::optional<PermissionPolicy> permission = {};
  std::optional<std::chrono::milliseconds> timeout = {};  ///< 0: no deadline
  std::optional<std::string> auth = {};                   ///< id of a method of the agent's own
  std::map<std::string, std::string> from = {};           ///< by key; "env.NAME" for each variable
};

/// A part of a session's perdure.toml that names programs to run or where to send things. It has no effect until this user
/// trusts the file as it stands (L51): another program may have written it together with the session.
struct UntrustedPart {
  std::string name = {};  ///< "[[hooks]]", "[agents]", "shell"
  std::string from = {};  ///< "FILE:LINE"
};

/// Everything that can be configured; docs/reference/configuration.md has the table. Each field holds the effective value.
struct Config {
  // [task], or [background] as older builds call it
  Setting<std::optional<std::int64_t>> max_running_tasks = {};  ///< absent: no cap (L04)
  Setting<bool> keep_alive_on_exit{true};                       ///< false: a front end that ends ends its tasks
  Setting<std::chrono::milliseconds> kill_grace_period{std::chrono::seconds(5)};
  Setting<bool> bash_auto_background_on_timeout{true};
  Setting<std::chrono::milliseconds> bash_task_timeout{std::chrono::seconds(600)};  ///< of tools; 0: none
  Setting<std::chrono::milliseconds> agent_task_timeout{};                          ///< 0: none
  Setting<std::optional<std::int64_t>> output_limit =
      {};  ///< bytes, 0: no limit; absent: as StartOptions::output_limit
  Setting<OnOutputLimit> on_output_limit{OnOutputLimit::truncate};
  Setting<Leftovers> leftovers{Leftovers::keep};
  Setting<std::string> shell{"/bin/sh"};
  Setting<bool> sync_output{false};
  Setting<std::string> detach_keys{"ctrl-\\"};  ///< "ctrl-X" or "none"

  // For an agent's own turn loop: kept, and used by nothing here.
  Setting<std::optional<std::string>> print_background_mode = {};
  Setting<std::optional<std::int64_t>> print_wait_ceiling_s = {};
  Setting<std::optional<std::int64_t>> print_max_turns = {};
  Setting<std::optional<std::int64_t>> subagent_timeout_ms = {};

  // [retention]
  Setting<bool> retention_auto{true};  ///< sweep after a start, at most once a day
  Setting<std::optional<std::chrono::milliseconds>> retention_older_than{std::chrono::hours(30 * 24)};
  Setting<std::optional<std::int64_t>> retention_keep{1'000};
  Setting<std::optional<std::int64_t>> retention_max_bytes{std::int64_t{2} << 30};

  // [telemetry]
  Setting<std::optional<std::string>> telemetry_file = {};  ///< absolute; absent: telemetry is off

  // [rpc]
  Setting<std::vector<std::string>> rpc_sessions = {};  ///< absolute; session.list shows these, too

  std::vector<ConfiguredHook> hooks = {};              ///< the person's first, then the session's
  std::map<std::string, ConfiguredAgent> agents = {};  ///< by name
  std::map<std::string, ExecutorDefinition> executors = {};

  std::vector<UntrustedPart> untrusted = {};  ///< what was left out; `perdure config trust` shows it and takes it in
};

/// Reads the configuration that holds for a session, which need not exist: `${XDG_CONFIG_HOME:-~/.config}/perdure/
/// config.toml`, then `perdure.toml` in the session's folder, then the environment; what comes later wins. `session`
/// empty: the person's own file and the environment only.
/// Errors: config_invalid for a key or value that is not known or not allowed, naming the file, the line and the key,
/// also in `details`; and for a file that is there but can't be read, or that another user may have written.
[[nodiscard]] PERDURE_API Result<Config> load_config(const std::string& session);

/// Lets the session's perdure.toml take effect as a whole, as it stands now: remembers a hash of it in this user's state
/// folder. Returns the parts that take effect now. Errors: config_invalid if the file is missing, invalid or not this user's;
/// session_unusable where nothing can be remembered.
[[nodiscard]] PERDURE_API Result<std::vector<UntrustedPart>> trust_config(const std::string& session);

/// Every agent there is: the built-in ones, changed and joined by those that are configured; by name.
[[nodiscard]] PERDURE_API std::map<std::string, AgentDefinition> agent_definitions(const Config& config);

/// A start with everything that is configured; the caller adds what to run.
[[nodiscard]] PERDURE_API StartOptions default_start(const Config& config);

/// What collect_garbage() is to remove.
[[nodiscard]] PERDURE_API RetentionOptions retention_options(const Config& config);

/// What a manager of that session needs to know of the configuration.
[[nodiscard]] PERDURE_API ManagerOptions manager_options(const Config& config, std::string session);

}  // namespace perdure
