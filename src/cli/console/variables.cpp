#include "cli/console/variables.h"

#include "base/words.h"
#include "cli/console/text.h"
#include "config/config_keys.h"

#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

namespace perdure::cli {
namespace {

constexpr std::string_view kPrefix = "PERDURE_";
// Variables that are not settings: those for tasks and hooks, and those of tests.
constexpr std::string_view kOthers[] = {
    "PERDURE_CGROUP",   "PERDURE_EVENT",          "PERDURE_IN_PLACE",   "PERDURE_ON",
    "PERDURE_RUNNER",   "PERDURE_RUNNER_PATH",    "PERDURE_SESSION",    "PERDURE_TASK_ID",
    "PERDURE_TASK_KEY", "PERDURE_WEBHOOK_SECRET", "PERDURE_EVENT_TASK", "PERDURE_SOLE_CONTAINER"};
// Used by the tests and the build of this program.
constexpr std::string_view kTests[] = {"PERDURE_BIN", "PERDURE_SOURCE_DIR", "PERDURE_BUILD_DIR", "PERDURE_CRASH_"};

}  // namespace

std::vector<std::string> misspelt_variables() {
  std::vector<std::string> names;
  for (const auto& key : manager::config_keys()) names.push_back(manager::variable_of(key));
  for (const auto name : kOthers) names.emplace_back(name);
  const std::vector<std::string_view> known(names.begin(), names.end());
  std::vector<std::string> found;
  for (char** at = environ; at != nullptr && *at != nullptr; ++at) {
    const std::string_view variable = *at;
    const std::string_view name = variable.substr(0, variable.find('='));
    if (!name.starts_with(kPrefix) || std::ranges::find(known, name) != known.end()) continue;
    if (std::ranges::any_of(kTests, [&](std::string_view ours) { return name.starts_with(ours); })) continue;
    const std::string near = nearest_word(name, known);
    found.push_back(fmt::format("{}: no such variable is read{}", harmless_line(name),
                                near.empty() ? "" : fmt::format("; did you mean {}?", near)));
  }
  std::ranges::sort(found);
  return found;
}

}  // namespace perdure::cli
