#include "base/clock.h"
#include "base/error.h"
#include "cli/console/call.h"
#include "cli/console/print.h"
#include "cli/console/text.h"
#include "cli/verbs/verbs.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <ctime>

namespace perdure::cli {
namespace {

constexpr std::array<std::string_view, 7> kStatuses = {"queued",    "running", "completed", "failed",
                                                       "timed_out", "killed",  "lost"};
constexpr std::array<std::string_view, 3> kKinds = {"process", "agent", "question"};

constexpr Option kListOptions[] = {
    {"-a,--all", nullptr, "ended tasks, too"},
    {"-n,--limit", "N", "the running ones and the newest, N at most"},
    {"--status", "queued|running|completed|failed|timed_out|killed|lost", "only tasks of this status"},
    {"--kind", "process|agent|question", "only tasks of this kind"},
    {"--owner", "O", "only tasks of this owner"},
    {"--label", "K[=V]", "only tasks with this label", true},
    {"--name", "N", "only tasks of this name"},
    {"--since", "T", "only tasks that were started since: 10m, 2h, or 2026-11-30 or 2026-11-30T08:00:00"},
    {"--refresh", nullptr, "ask the executors of tasks that run elsewhere first"},
};

// Running tasks stay, whatever the limit; of the ended ones the newest.
std::size_t apply_limit(std::vector<Task>& tasks, std::size_t limit) {
  const auto running =
      static_cast<std::size_t>(std::ranges::count_if(tasks, [](const Task& t) { return !is_terminal(t.status); }));
  const std::size_t room = limit > running ? limit - running : 0;
  std::size_t ended = tasks.size() - running;
  std::size_t dropped = 0;
  std::erase_if(tasks, [&](const Task& task) {
    if (!is_terminal(task.status)) return false;
    const bool drop = ended > room;
    --ended;
    dropped += drop ? 1U : 0U;
    return drop;
  });
  return dropped;
}

constexpr std::size_t kLeastDescription = 30;

// "10m": that long ago. Else a local day or time. Errors: usage.
Result<std::optional<std::int64_t>> read_since(const Call& call) {
  const auto text = call.value("--since");
  if (!text) return std::nullopt;
  for (const char* const format : {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d"}) {
    std::tm local{};
    local.tm_isdst = -1;
    const char* const end = ::strptime(text->c_str(), format, &local);
    if (end != nullptr && *end == '\0') return std::int64_t{::mktime(&local)} * 1000;
  }
  if (const auto ago = parse_duration(*text)) return now_ms() - ago->count();
  return fail(ErrorCode::usage,
              fmt::format("--since: expected a length such as 10m, a day or a time, got '{}'", harmless_line(*text)));
}

// All of the labels, each with its value where one is given.
bool has_labels(const Task& task, const std::vector<std::string>& wanted) {
  return std::ranges::all_of(wanted, [&](const std::string& text) {
    const auto equals = text.find('=');
    const auto found = task.labels.find(text.substr(0, equals));
    return found != task.labels.end() && (equals == std::string::npos || found->second == text.substr(equals + 1));
  });
}

std::string status_text(const Task& task) {
  if (task.found.unrecorded_end) return *task.found.unrecorded_end;
  // A question waits for a person, and does nothing.
  std::string status(task.kind == Kind::question && task.status == Status::running ? "open" : name_of(task.status));
  if (task.found.unverified) status += "?";
  if (task.restart.count > 0 && !is_terminal(task.status))
    status += task.process.pid > 0 ? fmt::format(" (attempt {})", task.restart.count + 1) : " (restarting)";
  if (task.found.paused) status += " (stopped)";
  if (task.found.has_leftovers) status += " (left processes)";
  if (task.found.runner_gone) status += task.status == Status::queued ? " (asleep: perdure reconcile)" : "!";
  if (task.queue.place) status += fmt::format(" #{}", *task.queue.place);
  if (!task.detached) status += " fg";
  return status;
}

std::string exit_text(const Task& task) {
  if (task.process.exit_code) return fmt::to_string(*task.process.exit_code);
  if (task.process.signal) return fmt::format("sig {}", *task.process.signal);
  return "-";
}

// Which one, and the id by which it is resumed, once there is one (L28).
std::string agent_text(const Task& task) {
  if (task.kind != Kind::agent) return "-";
  const std::string type = harmless_line(task.agent.type.value_or("?"));
  return task.agent.id ? fmt::format("{} {}", type, harmless_line(task.agent.id->text)) : type;
}

void print_table(const std::vector<Task>& tasks) {
  const std::size_t columns = terminal_columns();
  std::size_t fixed = 0;
  for (const auto& task : tasks) fixed = std::max(fixed, task.id.str().size() + status_text(task).size());
  fixed += std::string_view("    10m ago   3m 12s    0     ").size();
  // The owner is left out where it would leave too little of what the task is (I42).
  const bool owners = std::ranges::any_of(tasks, [](const Task& t) { return t.owner.has_value(); }) &&
                      (columns == 0 || columns >= fixed + columns / 3 + kLeastDescription);
  const bool names = std::ranges::any_of(tasks, [](const Task& t) { return t.name.has_value(); });
  const bool agents = std::ranges::any_of(tasks, [](const Task& t) { return t.kind == Kind::agent; });
  const bool elsewhere = std::ranges::any_of(tasks, [](const Task& t) { return t.executor.has_value(); });
  std::vector<std::string> head = {"ID", "STATUS", "STARTED", "DURATION", "EXIT"};
  if (names) head.emplace_back("NAME");
  if (owners) head.emplace_back("OWNER");
  if (agents) head.emplace_back("AGENT");
  if (elsewhere) head.emplace_back("ON");
  head.emplace_back("DESCRIPTION");
  Table table(std::move(head));
  const std::int64_t now = now_ms();
  for (const auto& task : tasks) {
    const bool queued = task.status == Status::queued;
    std::vector<std::string> row = {
        task.id.str(), status_text(task), queued ? "-" : age_text(now - ms_of(task.started_at)),
        queued ? "-" : duration_text(ms_of(task.ended_at).value_or(now) - ms_of(task.started_at)), exit_text(task)};
    if (names) row.push_back(task.name.value_or("-"));
    if (owners) row.push_back(harmless_line(task.owner.value_or("-")));
    if (agents) row.push_back(agent_text(task));
    if (elsewhere) row.push_back(task.executor ? harmless_line(place_text(*task.executor)) : "-");
    row.push_back(harmless_line(task.description));
    table.add(std::move(row));
  }
  auto lines = table.lines(columns);
  std::string text = lines.front() + "\n";
  for (std::size_t i = 1; i < lines.size(); ++i) {
    // Coloured afterwards: an escape sequence has no width.
    const std::string_view name = name_of(tasks[i - 1].status);
    const auto at = tasks[i - 1].id.str().size();
    const auto found = lines[i].find(name, at);
    if (found != std::string::npos) lines[i].replace(found, name.size(), coloured(tasks[i - 1].status, name));
    text += lines[i] + "\n";
  }
  put(text);
}

Result<int> run_list(Call& call) {
  ListFilter filter{.ended = call.has("--all"), .owner = call.value("--owner")};
  auto status = call.word("--status", kStatuses);
  auto kind = call.word("--kind", kKinds);
  auto limit = call.integer("--limit", 0, INT32_MAX);
  auto since = read_since(call);
  if (!since) return std::unexpected(since.error());
  if (!status) return std::unexpected(status.error());
  if (!kind) return std::unexpected(kind.error());
  if (!limit) return std::unexpected(limit.error());
  if (*status) filter.status = status_from(**status);
  if (*kind)
    for (const Kind k : {Kind::process, Kind::agent, Kind::question})
      if (name_of(k) == **kind) filter.kind = k;
  auto manager = call.manager();
  if (!manager) return std::unexpected(manager.error());
  filter.leftovers = true;
  if (call.has("--refresh"))
    if (auto asked = (*manager)->upkeep().refresh(); !asked) return std::unexpected(asked.error());
  auto tasks = (*manager)->list(filter);
  if (!tasks) return std::unexpected(tasks.error());
  const auto labels = call.values("--label");
  const auto name = call.value("--name");
  std::erase_if(*tasks, [&](const Task& task) {
    return !has_labels(task, labels) || (name && task.name != name) || (*since && ms_of(task.started_at) < **since);
  });
  const std::size_t dropped = *limit ? apply_limit(*tasks, static_cast<std::size_t>(**limit)) : 0;
  if (call.json) {
    put_line(tasks_json(*tasks));
  } else if (tasks->empty()) {
    if (dropped == 0) note(filter.ended ? "no tasks" : "no active tasks; `perdure list --all` shows ended ones");
  } else {
    print_table(*tasks);
  }
  if (dropped > 0) note(fmt::format("perdure: {} more left out by --limit", dropped));
  if (!filter.ended) return 0;
  const auto bad = (*manager)->upkeep().bad_records();
  if (bad && !bad->empty())
    note(fmt::format("perdure: {} not a record: see `perdure doctor`",
                     bad->size() == 1 ? "1 file is" : fmt::format("{} files are", bad->size())));
  return 0;
}

}  // namespace

const Verb kListVerb{"list", "", "active tasks, newest last", kListOptions, run_list};

}  // namespace perdure::cli
