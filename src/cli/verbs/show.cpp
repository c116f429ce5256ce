#include "base/clock.h"
#include "cli/console/call.h"
#include "cli/console/pager.h"
#include "cli/console/print.h"
#include "cli/console/text.h"
#include "cli/text/activity_text.h"
#include "cli/text/output_json.h"
#include "cli/text/question_text.h"
#include "cli/text/terminal_text.h"
#include "cli/verbs/verbs.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace perdure::cli {
namespace {

constexpr Option kShowOptions[] = {
    {"--refresh", nullptr, "ask the executor of a task that runs elsewhere first"},
};

constexpr std::int64_t kTail = 2048;
constexpr std::int64_t kActivityTail = 16'384;
constexpr std::size_t kActivityLines = 12;

// Its limits, and how they are enforced.
std::string limits_text(const Task& task) {
  std::vector<std::string> limits;
  if (task.limits.memory_max) limits.push_back(fmt::format("memory {}", size_text(*task.limits.memory_max)));
  if (task.limits.cpu_max_milli)
    limits.push_back(fmt::format("{} processors", static_cast<double>(*task.limits.cpu_max_milli) / 1000));
  if (task.limits.pids_max) limits.push_back(fmt::format("{} processes", *task.limits.pids_max));
  if (limits.empty()) return "";
  return fmt::format("{} ({})", fmt::join(limits, ", "),
                     task.limits.cgroup ? "of all together, by the cgroup " + *task.limits.cgroup
                                        : "by limits of each process: no cgroup was to be had");
}

void print_question(const AskedQuestion& asked) {
  for (const auto& question : asked.questions) {
    put("\n" + question_text(question));
    if (!asked.answer) continue;
    if (const auto found = asked.answer->answers.find(question.text); found != asked.answer->answers.end())
      put(fmt::format("  answer: {}\n", harmless_text(found->second)));
  }
  if (asked.answer && !asked.answer->note.empty()) put(fmt::format("\n{}\n", harmless_text(asked.answer->note)));
}

std::string usage_text(const Task& task) {
  std::string text;
  for (const auto& [name, count] : task.agent.usage)
    text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name, count);
  return text;
}

// The last activity of a subagent, and how to resume it.
void print_activity(const TaskManager& manager, const Task& task) {
  const auto size = manager.read_activity(task.id, 0, 0);
  if (!size || size->size == 0) return;
  const std::int64_t from = std::max<std::int64_t>(0, size->size - kActivityTail);
  const auto chunk = manager.read_activity(task.id, from, kActivityTail);
  if (!chunk) return;
  std::string_view lines = chunk->bytes;
  lines = lines.substr(0, lines.rfind('\n') + 1);
  if (from > 0) lines.remove_prefix(lines.find('\n') + 1);
  put("\nwhat it did last:\n" + last_lines(activity_text(lines), kActivityLines));
}

// What was decided about its restarts, and how the last attempts ended.
std::string restart_text(const RestartFacts& restart) {
  if (!restart.policy) return "";
  std::string text = *restart.policy;
  if (restart.most) text += fmt::format(", {} times at most", *restart.most);
  if (restart.count > 0) text += fmt::format("; {} attempt{} ended", restart.count, restart.count == 1 ? "" : "s");
  return text;
}

std::string attempt_text(const Attempt& attempt) {
  const std::string how = attempt.signal      ? fmt::format("signal {}", *attempt.signal)
                          : attempt.exit_code ? fmt::format("exit code {}", *attempt.exit_code)
                                              : "unknown end";
  return fmt::format("{}, after {}: {}", time_text(ms_of(attempt.ended_at)),
                     duration_text(ms_of(attempt.ended_at) - ms_of(attempt.started_at)), how);
}

void print(const Task& task, const OutputSnapshot& output, const std::optional<AskedQuestion>& asked,
           const std::optional<std::int64_t>& input_holder, bool lives_on) {
  std::string text;
  const auto line = [&](std::string_view name, const std::string& value) {
    if (!value.empty()) text += fmt::format("{:<13} {}\n", name, harmless_line(value));
  };
  const std::int64_t now = now_ms();
  line("id", task.id.str());
  line("name", task.name.value_or(""));
  if (task.description != task.process.command) line("description", task.description);
  line("kind", task.kind_name);
  text += fmt::format("{:<13} {}\n", "status", coloured(task.status, outcome_text(task)));
  if (!task.detached) line("foreground", "yes");
  if (task.queue.queued_at)
    line("queued",
         fmt::format("{} ({})", time_text(ms_of(*task.queue.queued_at)), age_text(now - ms_of(*task.queue.queued_at))));
  if (task.queue.priority.value_or(0) > 0) line("priority", fmt::to_string(*task.queue.priority));
  line("after", after_text(task));
  if (task.status != Status::queued)
    line("started", fmt::format("{} ({})", time_text(ms_of(task.started_at)), age_text(now - ms_of(task.started_at))));
  if (task.ended_at)
    line("ended", fmt::format("{} ({})", time_text(ms_of(*task.ended_at)), age_text(now - ms_of(*task.ended_at))));
  if (task.status != Status::queued)
    line("duration", duration_text(ms_of(task.ended_at).value_or(now) - ms_of(task.started_at)));
  if (task.limits.timeout_ms.value_or(0) > 0)
    line("deadline", fmt::format("{} after {}", duration_text(*task.limits.timeout_ms),
                                 task.limits.timeout_from ? time_text(ms_of(*task.limits.timeout_from)) : "the start"));
  if (task.limits.idle_timeout_ms.value_or(0) > 0)
    line("idle timeout", fmt::format("{} without output", duration_text(*task.limits.idle_timeout_ms)));
  if (task.executor) {
    const ExecutorState& executor = *task.executor;
    line("on", place_text(executor));
    if (executor.place) line("there", fmt::format("{} {}", executor.type == "slurm" ? "job" : "task", *executor.place));
    line("state there", executor.state.value_or("") + (executor.reason ? " (" + *executor.reason + ")" : ""));
    if (executor.seen_at && !is_terminal(task.status))
      line("heard of",
           fmt::format("{} ({})", time_text(ms_of(*executor.seen_at)), age_text(now - ms_of(*executor.seen_at))));
    line("ended late", executor.late.value_or(""));
  }
  line("restart", restart_text(task.restart));
  constexpr std::size_t kShownAttempts = 5;
  const auto& attempts = task.restart.last;
  for (std::size_t i = attempts.size() - std::min(attempts.size(), kShownAttempts); i < attempts.size(); ++i)
    line("attempt ended", attempt_text(attempts[i]));
  line("limits", limits_text(task));
  line("command", task.process.command);
  line("cwd", task.origin.cwd.value_or(""));
  if (task.process.pid > 0) line("pid", fmt::to_string(task.process.pid));
  if (task.agent.id) line("agent", task.agent.id->text);
  line("subagent type", task.agent.type.value_or(""));
  line("model", task.agent.model.value_or(""));
  line("stop code", task.agent.stop_code.value_or(""));
  line("usage", usage_text(task));
  line("owner", task.owner.value_or(""));
  line("tool call", task.origin.parent_tool_call_id.value_or(""));
  line("input", task.process.input.value_or(""));
  if (input_holder) line("typed into by", fmt::format("pid {}", *input_holder));
  if (task.process.stop_signal) line("stop signal", fmt::to_string(*task.process.stop_signal));
  line("lifetime", task.origin.lifetime.value_or(""));
  for (const auto& [name, value] : task.labels) line("label", name + "=" + value);
  for (const auto& command : task.notification.on_end) line("on end", command);
  if (task.recovered.value_or(false)) line("recovered", "the runner was killed after it had noted the outcome");
  if (task.process.leftovers)
    line("leftovers", fmt::format("{} process{} outlived the command{}", *task.process.leftovers,
                                  *task.process.leftovers == 1 ? "" : "es",
                                  !is_terminal(task.status) ? ""
                                  : lives_on                ? ", and live on"
                                                            : "; none lives any more"));
  if (!task.process.survivors.empty())
    line("survivors", fmt::format("pids {} outlived SIGKILL", fmt::join(task.process.survivors, " ")));
  if (output.path) line("output", fmt::format("{} in {}", size_text(output.size_bytes), *output.path));
  if (output.dropped_bytes > 0)
    line("dropped", fmt::format("{} of the output were over the budget", size_text(output.dropped_bytes)));
  if (task.output.unstored_bytes.value_or(0) > 0)
    line("not stored",
         fmt::format("{} of the output were refused by the disk", size_text(*task.output.unstored_bytes)));
  line("record", task.found.source);
  put(text);
  if (asked) return print_question(*asked);
  if (!output.preview.empty()) {
    put_line(output.truncated ? "\n... the end of its output:" : "\nits output:");
    TerminalText shown(wants_colour() && stdout_is_terminal(), false);
    put_line(shown.take(output.preview) + shown.finish());
  }
}

Result<int> run_show(Call& call) {
  auto id = call.id();
  if (!id) return std::unexpected(id.error());
  auto manager = call.manager();
  if (!manager) return std::unexpected(manager.error());
  if (call.has("--refresh"))
    if (auto asked = (*manager)->upkeep().refresh(); !asked) return std::unexpected(asked.error());
  auto task = (*manager)->get(*id);
  if (!task) return std::unexpected(task.error());
  auto output = (*manager)->output_snapshot(*id, call.json ? 32768 : kTail);
  if (!output) return std::unexpected(output.error());
  std::optional<AskedQuestion> asked;
  if (task->kind == Kind::question && task->question.on_deadline) {
    auto question = (*manager)->questions().get(*id);
    if (!question) return std::unexpected(question.error());
    asked = std::move(*question);
  }
  const auto input_holder = (*manager)->input_holder(*id);
  bool lives_on = false;
  if (task->process.leftovers && is_terminal(task->status))
    if (const auto alive = (*manager)->list({.leftovers = true}))
      lives_on = std::ranges::any_of(*alive, [&](const Task& one) { return one.id == *id; });
  if (call.json) {
    std::string json = task_json(*task);
    json.pop_back();
    if (input_holder) json += fmt::format(",\"inputHolder\":{}", *input_holder);
    if (asked) json += "," + question_members(*asked);
    put_line(json + ",\"output\":" + snapshot_json(*output) + "}");
  } else {
    const Pager pager;
    print(*task, *output, asked, input_holder, lives_on);
    if (task->kind == Kind::agent) print_activity(**manager, *task);
    if (task->kind == Kind::agent && task->agent.id && task->host.runner && is_terminal(task->status))
      put_line(
          fmt::format("\nto go on with it: perdure agent --resume {} PROMPT", harmless_line(task->agent.id->text)));
  }
  return 0;
}

}  // namespace

const Verb kShowVerb{"show", "ID", "everything known about a task", kShowOptions, run_show, true};

}  // namespace perdure::cli
