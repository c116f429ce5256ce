#include "base/clock.h"
#include "base/error.h"
#include "cli/console/call.h"
#include "cli/console/print.h"
#include "cli/console/text.h"
#include "cli/verbs/verbs.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace perdure::cli {
namespace {

constexpr std::array<std::string_view, 7> kStatuses = {"queued",    "running", "completed", "failed",
                                                       "timed_out", "killed",  "lost"};
constexpr std::array<std::string_view, 3> kKinds = {"process", "agent", "question"};

constexpr Option kOptions[] = {
    {"--all", nullptr, "ended tasks, too"},
    {"--limit", "N", "the running ones and the newest, N at most"},
    {"--status", "S", "only tasks of this status"},
    {"--kind", "K", "only process, agent or question"},
    {"--owner", "O", "only tasks of this owner"},
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

std::string exit_text(const Task& task) {
  if (task.exit_code) return fmt::to_string(*task.exit_code);
  if (task.signal) return fmt::format("sig {}", *task.signal);
  return "-";
}

// Which one, and the id by which it is resumed, once there is one (L28).
std::string agent_text(const Task& task) {
  if (task.kind != Kind::agent) return "-";
  const std::string type = harmless_line(task.subagent_type.value_or("?"));
  return task.agent_id ? fmt::format("{} {}", type, harmless_line(task.agent_id->text)) : type;
}

void print_table(const std::vector<Task>& tasks) {
  const bool owners = std::ranges::any_of(tasks, [](const Task& t) { return t.owner.has_value(); });
  const bool agents = std::ranges::any_of(tasks, [](const Task& t) { return t.kind == Kind::agent; });
  const bool elsewhere = std::ranges::any_of(tasks, [](const Task& t) { return t.executor.has_value(); });
  std::vector<std::string> head = {"ID", "STATUS", "STARTED", "DURATION", "EXIT"};
  if (owners) head.emplace_back("OWNER");
  if (agents) head.emplace_back("AGENT");
  if (elsewhere) head.emplace_back("ON");
  head.emplace_back("DESCRIPTION");
  Table table(std::move(head));
  const std::int64_t now = now_ms();
  for (const auto& task : tasks) {
    std::string status(name_of(task.status));
    if (task.unverified) status += "?";
    if (task.paused) status += " (paused)";
    if (task.has_leftovers) status += " (left processes)";
    if (task.runner_gone) status += task.status == Status::queued ? " (asleep: perdure reconcile)" : "!";
    const bool queued = task.status == Status::queued;
    if (task.queue_place) status += fmt::format(" #{}", *task.queue_place);
    if (!task.detached) status += " fg";
    std::vector<std::string> row = {task.id.str(), std::move(status), queued ? "-" : age_text(now - task.started_at),
                                    queued ? "-" : duration_text(task.ended_at.value_or(now) - task.started_at),
                                    exit_text(task)};
    if (owners) row.push_back(harmless_line(task.owner.value_or("-")));
    if (agents) row.push_back(agent_text(task));
    if (elsewhere) row.push_back(task.executor ? harmless_line(place_text(*task.executor)) : "-");
    row.push_back(harmless_line(task.description));
    table.add(std::move(row));
  }
  auto lines = table.lines(terminal_columns());
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

Result<int> run(Call& call) {
  ListFilter filter{.ended = call.has("--all"), .owner = call.value("--owner")};
  auto status = call.word("--status", kStatuses);
  auto kind = call.word("--kind", kKinds);
  auto limit = call.integer("--limit", 0, INT32_MAX);
  if (!call.arguments.empty()) return fail(ErrorCode::usage, "list takes no arguments: for one task use show");
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
    if (auto asked = (*manager)->refresh(); !asked) return std::unexpected(asked.error());
  auto tasks = (*manager)->list(filter);
  if (!tasks) return std::unexpected(tasks.error());
  const std::size_t dropped = *limit ? apply_limit(*tasks, static_cast<std::size_t>(**limit)) : 0;
  if (call.json) {
    put_line(tasks_json(*tasks));
  } else if (tasks->empty()) {
    if (dropped == 0) note(filter.ended ? "no tasks" : "no active tasks; `perdure list --all` shows ended ones");
  } else {
    print_table(*tasks);
  }
  if (dropped > 0) note(fmt::format("perdure: {} more left out by --limit", dropped));
  return 0;
}

}  // namespace

const Verb kListVerb{"list", "", "active tasks, newest last", kOptions, run};

}  // namespace perdure::cli
