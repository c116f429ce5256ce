#include "base/error.h"
#include "cli/console/call.h"
#include "cli/console/print.h"
#include "cli/console/text.h"
#include "cli/start/sweep.h"
#include "cli/verbs/verbs.h"

#include <fmt/format.h>

namespace perdure::cli {
namespace {

constexpr Option kReconcileOptions[] = {
    {"--adopt", nullptr, "call lost what only another program could know about"},
};

std::string evidence_of(const Task& task) {
  return task.lost_evidence ? std::string(name_of(*task.lost_evidence)) : "";
}

Result<int> reconcile(Call& call) {
  if (!call.arguments.empty())
    return fail(ErrorCode::usage, "reconcile takes no arguments: it looks at the whole session");
  auto manager = call.manager();
  if (!manager) return std::unexpected(manager.error());
  auto verdicts = (*manager)->reconcile({.adopt = call.has("--adopt")});
  if (!verdicts) return std::unexpected(verdicts.error());
  if (call.json) {
    std::string json = "[";
    for (const auto& v : *verdicts)
      json += fmt::format(R"({}{{"taskId":{},"before":{},"status":{},"changed":{},"evidence":{},"explained":{}}})",
                          json.size() > 1 ? "," : "", json_quoted(v.task.id.str()), json_quoted(name_of(v.before)),
                          json_quoted(name_of(v.task.status)), v.changed,
                          v.task.lost_evidence ? json_quoted(evidence_of(v.task)) : "null", json_quoted(v.explained));
    put_line(json + "]");
    return 0;
  }
  Table table({"ID", "VERDICT", "EVIDENCE", "WHY"});
  for (const auto& v : *verdicts)
    table.add({v.task.id.str(), std::string(name_of(v.task.status)) + (v.changed ? "" : " (unchanged)"),
               v.task.lost_evidence ? evidence_of(v.task) : "-", harmless_line(v.explained)});
  if (verdicts->empty()) {
    note("nothing to reconcile: no task is active");
  } else {
    for (const auto& line : table.lines(terminal_columns())) put_line(line);
  }
  return 0;
}

}  // namespace

const Verb kReconcileVerb{"reconcile", "", "settle what can be proven about tasks whose keeper is gone",
                          kReconcileOptions, reconcile};

}  // namespace perdure::cli
