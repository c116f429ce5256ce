#include "base/error.h"
#include "cli/call.h"
#include "cli/print.h"
#include "cli/text.h"
#include "cli/verbs.h"
#include "contract/names.h"
#include "manager/program.h"

#include <fmt/format.h>

#ifndef PERDURE_VERSION
#error "PERDURE_VERSION is set by the build"
#endif

namespace perdure::cli {
namespace {

struct Setting {
  std::string name, value, source;
};

Result<std::vector<Setting>> settings(Call& call) {
  std::vector<Setting> found;
  std::string source;
  auto session = call.session_path(&source);
  if (!session) return std::unexpected(session.error());
  found.push_back({"session", *session, source});
  if (auto runner = manager::find_runner(""))
    found.push_back({"runner", *runner, environment("PERDURE_RUNNER_PATH") ? "PERDURE_RUNNER_PATH" : "found"});
  else
    found.push_back({"runner", "", runner.error().message});
  const auto cap = environment("PERDURE_MAX_RUNNING_TASKS");
  if (cap)
    if (auto number = parse_integer(*cap, 1, INT32_MAX); !number)
      return fail(ErrorCode::config_invalid, fmt::format("PERDURE_MAX_RUNNING_TASKS: {}", number.error().message));
  found.push_back({"max_running_tasks", cap.value_or("none"), cap ? "PERDURE_MAX_RUNNING_TASKS" : "default"});
  found.push_back({"kill_grace_period_ms", fmt::to_string(contract::kDefaultGraceMs), "default"});
  return found;
}

Result<int> config(Call& call) {
  auto found = settings(call);
  if (!found) return std::unexpected(found.error());
  if (call.json) {
    std::string json;
    for (const auto& s : *found)
      json += fmt::format(R"({}{}:{{"value":{},"source":{}}})", json.empty() ? "" : ",", quoted(s.name),
                          quoted(s.value), quoted(s.source));
    put_line("{" + json + "}");
    return 0;
  }
  Table table({"SETTING", "VALUE", "FROM"});
  for (const auto& s : *found) table.add({s.name, s.value, s.source});
  for (const auto& line : table.lines(0)) put_line(line);
  return 0;
}

Result<int> version(Call& call) {
  put_line(call.json ? "{\"version\":\"" PERDURE_VERSION "\"}" : "perdure " PERDURE_VERSION);
  return 0;
}

}  // namespace

const Verb kConfigVerb{"config", "", "the settings in force, and where each comes from", {}, config};
const Verb kVersionVerb{"version", "", "the version of this program", {}, version};

}  // namespace perdure::cli
