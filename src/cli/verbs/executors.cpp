#include "base/error.h"
#include "base/json_writer.h"
#include "cli/console/call.h"
#include "cli/console/print.h"
#include "cli/console/text.h"
#include "cli/verbs/verbs.h"

#include <fmt/format.h>

namespace perdure::cli {
namespace {

constexpr Option kExecutorsOptions[] = {
    {"--check", "NAME", "reach it, and say what is there and what is wrong"},
    {"--names", nullptr, "only the names, a line each"},
};

Result<int> check(Call& call, const std::string& name) {
  auto manager = call.manager();
  if (!manager) return std::unexpected(manager.error());
  auto report = (*manager)->upkeep().check_executor(name);
  if (!report) return std::unexpected(report.error());
  if (call.json) {
    put_line(JsonObject()
                 .add("name", report->name)
                 .add("type", report->type)
                 .add("place", report->place)
                 .add("usable", report->is_usable)
                 .add("facts", JsonArray(report->facts).json())
                 .add("problems", JsonArray(report->problems).json())
                 .str());
  } else {
    put_line(harmless_line(fmt::format("{}: {}, {}: {}", report->name, report->type, report->place,
                                       report->is_usable ? "usable" : "NOT usable")));
    for (const auto& fact : report->facts) put_line("  " + harmless_line(fact));
    for (const auto& problem : report->problems) put_line("  problem: " + harmless_line(problem));
  }
  return report->is_usable ? 0 : 1;
}

Result<int> executors(Call& call) {
  if (const auto name = call.value("--check")) return check(call, *name);
  auto config = call.config();
  if (!config) return std::unexpected(config.error());
  const auto& known = (*config)->executors;
  if (call.has("--names")) {
    for (const auto& [name, executor] : known) put_line(name);
    return 0;
  }
  if (call.json) {
    JsonArray json;
    for (const auto& [name, executor] : known)
      json.add(JsonObject()
                   .add("name", name)
                   .add("type", name_of(executor.type))
                   .add("place", described_place(executor))
                   .add("trusted", executor.untrusted.empty())
                   .json());
    put_line(json.json().text);
    return 0;
  }
  if (known.empty()) {
    note("no executors are configured: see docs/guide/elsewhere.md");
    return 0;
  }
  Table table({"NAME", "TYPE", "PLACE"});
  for (const auto& [name, executor] : known)
    table.add({name, std::string(name_of(executor.type)),
               harmless_line(described_place(executor)) +
                   (executor.untrusted.empty() ? "" : " (not trusted: " + harmless_line(executor.untrusted) + ")")});
  for (const auto& line : table.lines(terminal_columns())) put_line(line);
  return 0;
}

}  // namespace

const Verb kExecutorsVerb{"executors", "", "where tasks can run besides this machine", kExecutorsOptions, executors};

}  // namespace perdure::cli
