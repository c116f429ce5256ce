#include "base/error.h"
#include "cli/call.h"
#include "cli/print.h"
#include "cli/sweep.h"
#include "cli/text.h"
#include "cli/verbs.h"

#include <fmt/format.h>

// reconcile, doctor, remove, gc: what keeps a session true and small.
namespace perdure::cli {
namespace {

constexpr Option kReconcileOptions[] = {
    {"--adopt", nullptr, "call lost what only another program could know about"},
};
constexpr Option kGcOptions[] = {
    {"--older-than", "D", "tasks that ended before that"},
    {"--keep", "N", "all but the newest N"},
    {"--max-bytes", "S", "the oldest, until the rest takes no more"},
    {"--undelivered", nullptr, "also tasks whose owner has not been told of the end"},
    {"--dry-run", nullptr, "only say what would go"},
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
                          json.size() > 1 ? "," : "", quoted(v.task.id.str()), quoted(name_of(v.before)),
                          quoted(name_of(v.task.status)), v.changed,
                          v.task.lost_evidence ? quoted(evidence_of(v.task)) : "null", quoted(v.explained));
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

Result<int> doctor(Call& call) {
  std::optional<Finding> bad_config;
  if (auto config = call.config(); !config)
    bad_config = Finding{Finding::Level::problem, "configuration",
                         config.error().message + ": until that is put right no task can be started"};
  auto manager = call.manager(Call::BadConfig::is_told);
  if (!manager) return std::unexpected(manager.error());
  auto findings = (*manager)->doctor();
  if (!findings) return std::unexpected(findings.error());
  if (bad_config) findings->insert(findings->begin(), std::move(*bad_config));
  bool problems = false;
  std::string json = "[";
  for (const auto& finding : *findings) {
    const bool problem = finding.level == Finding::Level::problem;
    problems |= problem;
    if (call.json) {
      json += fmt::format(R"({}{{"level":"{}","what":{},"text":{}}})", json.size() > 1 ? "," : "",
                          problem ? "problem" : "note", quoted(finding.what), quoted(finding.text));
    } else {
      put_line(fmt::format("{}  {}: {}", problem ? "problem" : "note   ", harmless_line(finding.what),
                           harmless_line(finding.text)));
    }
  }
  if (call.json) put_line(json + "]");
  if (!call.json && !problems) put_line("nothing is wrong");
  return problems ? 1 : 0;
}

Result<int> remove(Call& call) {
  auto ids = call.ids();
  if (!ids) return std::unexpected(ids.error());
  if (ids->empty()) return fail(ErrorCode::task_id_empty, "no task id: name the ended tasks to remove");
  auto manager = call.manager();
  if (!manager) return std::unexpected(manager.error());
  std::optional<Error> error;
  std::string json = "[";
  for (const auto& id : *ids) {
    auto removed = (*manager)->remove(id);
    if (removed) {
      json += (json.size() > 1 ? "," : "") + quoted(id.str());
    } else if (error && !call.json) {
      note("perdure: " + removed.error().message);
    } else if (!error) {
      error = removed.error();
    }
  }
  if (error) return std::unexpected(*error);
  if (call.json) put_line(fmt::format(R"({{"removed":{}]}})", json));
  return 0;
}

Result<int> gc(Call& call) {
  auto older = call.duration("--older-than");
  auto keep = call.integer("--keep", 0, INT32_MAX);
  auto bytes = call.size("--max-bytes");
  if (!older) return std::unexpected(older.error());
  if (!keep) return std::unexpected(keep.error());
  if (!bytes) return std::unexpected(bytes.error());
  auto config = call.config();
  if (!config) return std::unexpected(config.error());
  auto manager = call.manager();
  if (!manager) return std::unexpected(manager.error());
  const bool dry = call.has("--dry-run");
  RetentionOptions options{.older_than = *older, .keep = *keep, .max_bytes = *bytes};
  if (!*older && !*keep && !*bytes) options = retention_options(**config);
  options.undelivered = call.has("--undelivered");
  options.dry_run = dry;
  auto removed = (*manager)->collect_garbage(options);
  if (!removed) return std::unexpected(removed.error());
  if (call.json) {
    std::string ids;
    for (const auto& id : removed->tasks) ids += (ids.empty() ? "" : ",") + quoted(id.str());
    std::string kept;
    for (const auto& text : removed->kept) kept += (kept.empty() ? "" : ",") + quoted(text);
    put_line(fmt::format(R"({{"removed":[{}],"bytes":{},"litter":{},"undelivered":{},"kept":[{}],"dryRun":{}}})", ids,
                         removed->bytes, removed->litter, removed->undelivered, kept, dry));
    return 0;
  }
  for (const auto& id : removed->tasks) put_line(id.str());
  for (const auto& text : removed->kept) note("perdure: kept " + harmless_line(text));
  if (removed->undelivered > 0)
    note(
        fmt::format("perdure: kept {} whose owners have not been told of the end: see `perdure notifications`, or say "
                    "--undelivered",
                    removed->undelivered));
  note(fmt::format("perdure: {} {} task{} and {} leftover file{}, {}", dry ? "would remove" : "removed",
                   removed->tasks.size(), removed->tasks.size() == 1 ? "" : "s", removed->litter,
                   removed->litter == 1 ? "" : "s", size_text(removed->bytes)));
  return 0;
}

// Started by sweep_in_background(): nobody reads what it says, and nobody waits for it.
Result<int> sweep(Call& call) {
  leave_the_caller();
  auto config = call.config();
  if (!config) return std::unexpected(config.error());
  auto manager = call.manager();
  if (!manager) return std::unexpected(manager.error());
  auto removed = (*manager)->collect_garbage(retention_options(**config));
  if (!removed) return std::unexpected(removed.error());
  return 0;
}

}  // namespace

const Verb kReconcileVerb{"reconcile", "", "settle what can be proven about tasks whose keeper is gone",
                          kReconcileOptions, reconcile};
const Verb kDoctorVerb{"doctor", "", "what is wrong with the session; exit status 1 if anything is", {}, doctor};
const Verb kRemoveVerb{"remove", "ID...", "remove ended tasks with their output", {}, remove, true};
const Verb kGcVerb{"gc", "", "remove ended tasks by age, number or size; without options as configured", kGcOptions,
                   gc};
const Verb kSweepVerb{"__sweep", "", "what a start begins once a day", {}, sweep, false, true};

}  // namespace perdure::cli
