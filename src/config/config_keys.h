#pragma once

#include "config/config_rules.h"
#include <perdure/config.h>

#include <span>
#include <string>
#include <string_view>

// The one list of settings: the parser, `perdure config` and the test of docs/reference/configuration.md use it.
namespace perdure::manager {

struct ConfigKey {
  std::string_view section, name;
  std::string_view meaning;
  std::string (*takes)();  ///< the allowed values, as text
  /// Sets the field, or returns what is wrong with the value.
  Checked<void> (*read)(Config& config, const Given& given, const std::string& from);
  Shown (*shown)(const Config& config);
  const std::string& (*from)(const Config& config);
  bool used_here = true;  ///< false: used by an agent's own turn loop only
};

/// Every key that holds one value; [[hooks]] and [agents.NAME] are in config_tables.h.
[[nodiscard]] std::span<const ConfigKey> config_keys();

/// The name under which `perdure config` shows it: keys of [task] without their section.
[[nodiscard]] std::string name_of(const ConfigKey& key);

/// PERDURE_MAX_RUNNING_TASKS, PERDURE_RETENTION_KEEP.
[[nodiscard]] std::string variable_of(const ConfigKey& key);

/// The key [task] max_running_tasks from the environment, else `configured` (L04). Errors: config_invalid.
[[nodiscard]] Result<std::optional<int>> cap_from_environment(std::optional<int> configured);

/// Reads settings from the environment. Errors: config_invalid naming the variable.
[[nodiscard]] Result<> read_environment(const ConfigKey& key, Config& config);

}  // namespace perdure::manager
