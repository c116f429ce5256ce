#pragma once

#include "config/config_rules.h"
#include <perdure/config.h>

#include <span>
#include <string>
#include <string_view>

// The one list of settings: parsing, `perdure config` and the test of docs/reference/configuration.md are made from it.
namespace perdure::manager {

struct ConfigKey {
  std::string_view section, name;
  std::string_view meaning;
  std::string (*takes)();  ///< what is allowed, in words
  /// Sets the field, or says what is wrong with the value.
  Checked<void> (*read)(Config& config, const Given& given, const std::string& from);
  Shown (*shown)(const Config& config);
  const std::string& (*from)(const Config& config);
  bool used_here = true;  ///< false: for an agent's own turn loop
};

/// Every key that holds one value; [[hooks]] and [agents.NAME] are in config_tables.h.
[[nodiscard]] std::span<const ConfigKey> config_keys();

/// The name under which `perdure config` shows it: keys of [task] without their section.
[[nodiscard]] std::string name_of(const ConfigKey& key);

/// PERDURE_MAX_RUNNING_TASKS, PERDURE_RETENTION_KEEP.
[[nodiscard]] std::string variable_of(const ConfigKey& key);

/// The key [task] max_running_tasks as the environment has it, else `configured` (L04). Errors: config_invalid.
[[nodiscard]] Result<std::optional<int>> cap_from_environment(std::optional<int> configured);

/// Reads the environment's part. Errors: config_invalid naming the variable.
[[nodiscard]] Result<> read_environment(const ConfigKey& key, Config& config);

}  // namespace perdure::manager
