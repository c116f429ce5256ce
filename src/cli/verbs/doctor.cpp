#include "base/error.h"
#include "base/json_writer.h"
#include "cli/console/call.h"
#include "cli/console/print.h"
#include "cli/console/text.h"
#include "cli/console/variables.h"
#include "cli/start/sweep.h"
#include "cli/verbs/verbs.h"

#include <fmt/format.h>

namespace perdure::cli {
namespace {

Result<int> doctor(Call& call) {
  std::optional<Finding> bad_config;
  if (auto config = call.config(); !config)
    bad_config = Finding{Finding::Level::problem, "configuration",
                         config.error().message + ": until that is put right no task can be started"};
  auto manager = call.manager(Call::BadConfig::is_told);
  if (!manager) return std::unexpected(manager.error());
  auto findings = (*manager)->upkeep().doctor();
  if (!findings) return std::unexpected(findings.error());
  if (bad_config) findings->insert(findings->begin(), std::move(*bad_config));
  for (const auto& text : misspelt_variables()) findings->push_back({Finding::Level::note, "environment", text});
  bool problems = false;
  JsonArray json;
  for (const auto& finding : *findings) {
    const bool problem = finding.level == Finding::Level::problem;
    problems |= problem;
    if (call.json) {
      json.add(JsonObject()
                   .add("level", problem ? "problem" : "note")
                   .add("what", finding.what)
                   .add("text", finding.text)
                   .json());
    } else {
      put_line(fmt::format("{}  {}: {}", problem ? "problem" : "note   ", harmless_line(finding.what),
                           harmless_line(finding.text)));
    }
  }
  if (call.json) put_line(json.json().text);
  if (!call.json && !problems) put_line("nothing is wrong");
  return problems ? 1 : 0;
}

}  // namespace

const Verb kDoctorVerb{"doctor", "", "what is wrong with the session; exit status 1 if anything is", {}, doctor};

}  // namespace perdure::cli
