#include "base/error.h"
#include "base/json_writer.h"
#include "cli/console/call.h"
#include "cli/console/input.h"
#include "cli/console/print.h"
#include "cli/console/text.h"
#include "cli/start/sweep.h"
#include "cli/verbs/verbs.h"

#include <fmt/format.h>

namespace perdure::cli {
namespace {

constexpr Option kReconcileOptions[] = {
    {"--adopt", nullptr, "count what can't be verified as lost; your decision"},
    {"--trust", nullptr, "show what the session's files would run, sign it after a yes, and run it"},
    {"--yes", nullptr, "with --trust: without being asked"},
    {"--queue", nullptr, "only start queued tasks again whose runner was killed"},
};

std::string evidence_of(const Task& task) {
  return task.lost_evidence ? std::string(name_of(*task.lost_evidence)) : "";
}

// Shows the command that would be run, and signs exactly those bytes. False: the user said no.
Result<bool> trust(const Call& call, TaskManager& manager) {
  auto untrusted = manager.upkeep().untrusted();
  if (!untrusted) return std::unexpected(untrusted.error());
  if (untrusted->empty()) {
    note("perdure: nothing waits for your trust");
    return true;
  }
  for (const auto& one : *untrusted) note(fmt::format("{}  would run: {}", one.id.str(), harmless_line(one.runs)));
  if (!call.has("--yes")) {
    if (!is_terminal_input())
      return fail(ErrorCode::usage, "--trust: asks on a terminal, and there is none: look at the above and add --yes");
    if (!ask_yes_or_no("Run these?")) return false;
  }
  for (const auto& one : *untrusted)
    if (auto done = manager.upkeep().trust(one.id); !done) return std::unexpected(done.error());
  if (auto started = manager.upkeep().restart_queue(); !started) return std::unexpected(started.error());
  return true;
}

Result<int> reconcile(Call& call) {
  if (!call.arguments.empty())
    return fail(ErrorCode::usage, "reconcile takes no arguments: it looks at the whole session");
  if (call.has("--yes") && !call.has("--trust")) return fail(ErrorCode::usage, "--yes: is for --trust");
  auto manager = call.manager();
  if (!manager) return std::unexpected(manager.error());
  if (call.has("--trust")) {
    auto trusted = trust(call, **manager);
    if (!trusted) return std::unexpected(trusted.error());
    if (!*trusted) return 1;
  }
  auto verdicts =
      (*manager)->upkeep().reconcile({.queue_only = call.has("--queue"), .assume_lost = call.has("--adopt")});
  if (!verdicts) return std::unexpected(verdicts.error());
  if (call.json) {
    JsonArray json;
    for (const auto& v : *verdicts)
      json.add(JsonObject()
                   .add("taskId", v.task.id.str())
                   .add("before", name_of(v.before))
                   .add("status", name_of(v.task.status))
                   .add("changed", v.changed)
                   .add("evidence", v.task.lost_evidence ? std::optional(evidence_of(v.task)) : std::nullopt)
                   .add("explained", v.explained)
                   .json());
    put_line(json.json().text);
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
