#include "cli/integrations/setup.h"

#include "base/error.h"
#include "base/try.h"
#include "cli/console/input.h"
#include "cli/console/print.h"
#include "cli/console/text.h"
#include "cli/integrations/setup_change.h"
#include "cli/integrations/setup_diff.h"
#include "manager/link/program.h"

#include <boost/json.hpp>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace perdure::cli {
namespace {

namespace json = boost::json;

constexpr std::size_t kWidestLine = 500;  // of a file that consists of one line

enum class Phase { not_set_up, already, would_change, declined, nobody_to_ask, set_up, removed, failed };
constexpr std::string_view kPhaseNames[] = {"not_set_up",    "already", "would_change", "declined",
                                            "nobody_to_ask", "set_up",  "removed",      "failed"};

struct Report {
  const SetupAgent* agent = nullptr;
  std::optional<std::string> trace;
  Phase phase = Phase::failed;
  std::vector<Change> changes;
  std::vector<std::string> notes;
  std::optional<ServerCheck> check;
  std::optional<Error> error;
};

class Setup {
 public:
  explicit Setup(Call& call)
      : is_removal_(call.has("--remove")),
        is_dry_(call.has("--dry-run")),
        is_agreed_(call.has("--yes")),
        is_json_(call.json) {}

  Report run(const SetupAgent& agent, const SetupOptions& options) {
    Report report{.agent = &agent, .trace = trace_of(agent), .changes = {}, .notes = {}, .check = {}, .error = {}};
    if (!is_json_) put_line(heading(report));
    auto done = is_removal_ ? remove(report) : set_up(report, options);
    if (!done) {
      report.phase = Phase::failed;
      report.error = done.error();
    }
    if (!is_json_) put(conclusion(report));
    return report;
  }

 private:
  Result<> set_up(Report& report, const SetupOptions& options) {
    TRY(report.changes, prepare_setup(*report.agent, options, report.notes));
    if (std::ranges::none_of(report.changes, &Change::is_needed)) {
      report.phase = Phase::already;
      if (is_dry_) return {};
      TRY(report.check, check_written(*report.agent, report.changes));
      return {};
    }
    if (!may_write(report, fmt::format("Change this for {}?", report.agent->title))) return {};
    TRY(report.check, cli::set_up(*report.agent, report.changes));
    report.phase = Phase::set_up;
    return {};
  }

  Result<> remove(Report& report) {
    const std::string name(report.agent->name);
    TRY(const auto record, load_setup_record(name));
    if (record.files.empty()) {
      report.phase = Phase::not_set_up;
      return {};
    }
    TRY(report.changes, prepare_removal(record));
    const bool is_gone = std::ranges::none_of(report.changes, &Change::is_needed);
    if (!(is_gone && !is_dry_) && !may_write(report, fmt::format("Undo this for {}?", report.agent->title))) return {};
    TRY_VOID(write_changes(report.changes));
    TRY_VOID(save_setup_record(name, {}));
    report.phase = Phase::removed;
    return {};
  }

  // Shows the change; sets the phase if the change must not be made.
  bool may_write(Report& report, const std::string& question) {
    if (!is_json_) put(changes_text(report));
    if (is_dry_) {
      report.phase = Phase::would_change;
      return false;
    }
    if (is_agreed_) return true;
    if (!is_terminal_input()) {
      report.phase = Phase::nobody_to_ask;
      return false;
    }
    if (ask_yes_or_no(question)) return true;
    report.phase = Phase::declined;
    return false;
  }

  static std::string heading(const Report& report) {
    return fmt::format("{} ({})", report.agent->title,
                       report.trace ? "found: " + harmless_line(*report.trace) : std::string("not found here"));
  }

  static std::string changes_text(const Report& report) {
    std::string text;
    for (const auto& change : report.changes) {
      if (!change.is_needed()) continue;
      text += fmt::format("  {} {}\n", change.action(), harmless_line(change.file.path));
      const std::string diff = line_diff(change.file.text, change.after.value_or(""));
      for (std::size_t at = 0; at < diff.size();) {
        const std::size_t end = diff.find('\n', at);
        text += "    " + cut_to_width(harmless_line(diff.substr(at, end - at)), kWidestLine) + "\n";
        at = end + 1;
      }
    }
    return text;
  }

  static std::string conclusion(const Report& report) {
    std::string text;
    for (const auto& one : report.notes) text += fmt::format("  note: {}\n", harmless_line(one));
    const std::string check =
        report.check ? fmt::format("the server starts and answers in {} ms: {}, {} tools", report.check->took_ms,
                                   harmless_line(report.check->server), report.check->tools)
                     : std::string();
    switch (report.phase) {
      case Phase::not_set_up: return text + "  was not set up by `perdure setup`; nothing to remove\n";
      case Phase::already: return text + "  is set up already" + (check.empty() ? "" : "; " + check) + "\n";
      case Phase::would_change: return text + "  nothing was written (--dry-run)\n";
      case Phase::declined: return text + "  left as it was\n";
      case Phase::nobody_to_ask: return text + "  nothing was written: there is no terminal to ask on\n";
      case Phase::set_up: return text + "  done; " + check + "\n";
      case Phase::removed: return text + "  removed\n";
      case Phase::failed: return text + "  failed: " + harmless_text(report.error->message) + "\n";
    }
    return text;
  }

  bool is_removal_, is_dry_, is_agreed_, is_json_;
};

json::object report_json(const Report& report) {
  json::array files;
  for (const auto& change : report.changes)
    files.push_back(json::object{{"path", change.file.path},
                                 {"action", change.action()},
                                 {"diff", line_diff(change.file.text, change.after.value_or(""))}});
  json::object object{{"name", report.agent->name},
                      {"title", report.agent->title},
                      {"found", report.trace ? json::value(*report.trace) : json::value()},
                      {"status", kPhaseNames[static_cast<std::size_t>(report.phase)]},
                      {"files", std::move(files)},
                      {"notes", json::array(report.notes.begin(), report.notes.end())}};
  if (report.check)
    object["server"] = json::object{{"name", report.check->server},
                                    {"tools", static_cast<std::int64_t>(report.check->tools)},
                                    {"tookMs", report.check->took_ms}};
  if (report.error)
    object["error"] = json::object{{"code", name_of(report.error->code)}, {"message", report.error->message}};
  return object;
}

// The named agents, or all on this machine; for --remove, or all that were set up.
Result<std::vector<const SetupAgent*>> choose(const Call& call) {
  std::vector<const SetupAgent*> chosen;
  for (const auto& name : call.arguments) {
    const SetupAgent* const agent = find_setup_agent(name);
    if (agent == nullptr) {
      std::vector<std::string_view> names;
      for (const auto& one : setup_agents()) names.push_back(one.name);
      return fail(ErrorCode::usage,
                  fmt::format("unknown agent '{}'; expected {}", harmless_line(name), fmt::join(names, ", ")));
    }
    if (std::ranges::find(chosen, agent) == chosen.end()) chosen.push_back(agent);
  }
  if (!chosen.empty()) return chosen;
  for (const auto& agent : setup_agents()) {
    if (call.has("--remove")) {
      const auto record = load_setup_record(std::string(agent.name));
      if (!record || !record->files.empty()) chosen.push_back(&agent);
    } else if (trace_of(agent)) {
      chosen.push_back(&agent);
    }
  }
  return chosen;
}

// Notes for the user on the installation of this program.
std::vector<std::string> notes_on_program() {
  std::vector<std::string> notes;
  const auto program = stable_program();
  if (!program) return notes;
  if (program->find("/_npx/") != std::string::npos)
    notes.push_back(
        fmt::format("{} is in npx's cache and may be deleted; install it with `npm install --global "
                    "perdure`, then run `perdure setup` again",
                    *program));
  if (!manager::find_program("perdure", environment("PATH").value_or(""), "/"))
    notes.push_back(fmt::format("`perdure` is not in PATH: the agents' shells can't run `perdure output ID`; add {}",
                                program->substr(0, program->rfind('/'))));
  return notes;
}

Result<SetupOptions> options_of(const Call& call) {
  SetupOptions options{.session = call.session, .owner = call.value("--owner")};
  if (!options.session) return options;
  TRY(options.session, absolute_path(*options.session));
  return options;
}

}  // namespace

Result<int> set_up_agents(Call& call) {
  if (call.json && !call.has("--yes") && !call.has("--dry-run"))
    return fail(ErrorCode::usage, "--json: give --yes or --dry-run too; no question is asked");
  TRY(const auto options, options_of(call));
  TRY(const auto chosen, choose(call));
  Setup setup(call);
  std::vector<Report> reports;
  for (const auto* const agent : chosen) reports.push_back(setup.run(*agent, options));
  const bool is_removal = call.has("--remove");
  const std::vector<std::string> notes = is_removal ? std::vector<std::string>() : notes_on_program();
  if (call.json) {
    json::array agents;
    for (const auto& report : reports) agents.push_back(report_json(report));
    put_line(json::serialize(
        json::object{{"agents", std::move(agents)}, {"notes", json::array(notes.begin(), notes.end())}}));
  } else {
    for (const auto& one : notes) note("perdure: " + harmless_line(one));
  }
  const auto has = [&](Phase phase) { return std::ranges::find(reports, phase, &Report::phase) != reports.end(); };
  if (reports.empty() && is_removal) {
    note("perdure: no agent was set up; nothing to remove");
    return 0;
  }
  if (reports.empty())
    return fail(ErrorCode::agent_not_found, "no coding agent was found on this machine; name one: perdure setup codex");
  if (has(Phase::nobody_to_ask))
    return fail(ErrorCode::usage, "there is no terminal to ask on; give --yes, or --dry-run to see the changes only");
  return has(Phase::failed) ? 1 : 0;
}

}  // namespace perdure::cli
