#include "base/clock.h"
#include "base/try.h"
#include "base/utf8.h"
#include "mcp/service/describe.h"
#include "mcp/service/prompt_guess.h"
#include "mcp/service/shown_output.h"
#include "mcp/service/tool.h"
#include "mcp/service/waiting.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace perdure::mcp {
namespace {

constexpr std::array<std::string_view, 3> kModes = {"any", "all", "first_failure"};

constexpr Parameter kWaitParameters[] = {
    {.name = "timeout",
     .type = Parameter::Type::integer,
     .description = "Seconds to wait at most. Then the tasks continue; that is no error.",
     .required = true,
     .least = 1,
     .most = 600},
    {.name = "task_id", .description = "Wait for this task."},
    {.name = "task_ids",
     .type = Parameter::Type::texts,
     .description = "Wait for these tasks; without any: all of yours that run now.",
     .least = 1,
     .most = 100},
    {.name = "mode",
     .description = "any: until one has ended. all: until all have. first_failure: until one failed, or all ended.",
     .default_text = R"("all")",
     .words = kModes},
    {.name = "match", .description = "With one task: until a line of its output matches this regular expression."},
    {.name = "ready", .description = "With one task: until it serves tcp:8080 or http://localhost:8080/path."},
    kAllOwners,
};
constexpr Parameter kWaitAnswers[] = {
    {.name = "wait_status", .description = "no_tasks, completed or timed_out", .required = true},
    {.name = "waited_ms", .type = Parameter::Type::integer, .description = "how long it took", .required = true},
    {.name = "finished",
     .type = Parameter::Type::any,
     .description = "tasks that ended, as TaskOutput shows them",
     .required = true},
    {.name = "completed_during_wait",
     .type = Parameter::Type::any,
     .description = "ids of those that ended meanwhile",
     .required = true},
    {.name = "still_running",
     .type = Parameter::Type::any,
     .description = "ids of those that run on",
     .required = true},
    {.name = "matched", .type = Parameter::Type::boolean, .description = "with match or ready: whether it came true"},
    {.name = "matched_line", .description = "with match: the line"},
};

// The tasks to wait for. The error is for the model.
std::expected<std::vector<TaskId>, std::string> wanted(ToolCall& call) {
  const auto one = call.arguments.text("task_id");
  auto several = call.arguments.texts("task_ids");
  if (one && several) return std::unexpected("task_id and task_ids exclude each other");
  std::vector<TaskId> ids;
  if (one) several = {*one};
  if (several) {
    for (const auto& text : *several) {
      TRY(auto task, call.service.find(call.request.caller, text, call.all_owners()));
      if (std::ranges::find(ids, task.id) == ids.end()) ids.push_back(task.id);
    }
    return ids;
  }
  ListFilter filter;
  if (!call.all_owners()) filter.owner = call.owner();
  auto active = call.manager().list(filter);
  if (!active) return std::unexpected(active.error().message);
  for (const auto& task : *active)
    if (task.id != call.service.own_task()) ids.push_back(task.id);  // L43: it would never end
  return ids;
}

json::array ids_of(const std::vector<Task>& tasks) {
  json::array ids;
  for (const auto& task : tasks) ids.emplace_back(task.id.str());
  return ids;
}

ToolAnswer told(ToolCall& call, const Waiting& waiting, Waited outcome) {
  const Caller& caller = call.request.caller;
  const std::int64_t limit = Service::preview_limit(caller);
  const auto ended = static_cast<std::int64_t>(std::max<std::size_t>(1, outcome.result.ended.size()));
  json::array finished, meanwhile;
  ToolResult result;
  std::string outputs;
  for (const auto& task : outcome.result.ended) {
    auto shown = show_tail(call.service, caller, task, limit / ended);
    if (!shown) return tool_error(shown.error());
    json::object members = answer_members(caller, task, *shown, "");
    if (ms_of(task.ended_at).value_or(0) >= waiting.begun_ms()) meanwhile.emplace_back(task.id.str());
    outputs += fmt::format("\n{}\n{}", to_plain_text(task.description, false), answer_text(members));
    finished.emplace_back(std::move(members));
  }
  result.structured = {{"wait_status", outcome.result.timed_out ? "timed_out" : "completed"},
                       {"waited_ms", waiting.waited_ms()}};
  if (outcome.matched) result.structured["matched"] = *outcome.matched;
  if (outcome.line) result.structured["matched_line"] = *outcome.line;
  if (!outcome.note.empty()) result.structured["ready_note"] = outcome.note;
  const json::object head = result.structured;
  result.structured["completed_during_wait"] = std::move(meanwhile);
  result.structured["still_running"] = ids_of(outcome.result.running);
  if (!outcome.result.unverified.empty()) result.structured["unverified"] = ids_of(outcome.result.unverified);
  json::array prompting;
  for (const auto& task : outcome.result.running)
    if (guess_prompt(call.manager(), task).maybe_waiting_for_input) prompting.emplace_back(task.id.str());
  if (!prompting.empty()) result.structured["maybe_waiting_for_input"] = std::move(prompting);
  if (!outcome.result.running.empty())
    result.structured["next"] =
        call.words("@WaitFor again to go on waiting; @TaskOutput reads what they print meanwhile");
  result.text = lines_of(head);
  for (const std::string_view key : {"still_running", "unverified", "maybe_waiting_for_input", "next"})
    if (const auto* const value = result.structured.if_contains(key);
        value != nullptr && !(value->is_array() && value->get_array().empty()))
      result.text += lines_of({{key, *value}});
  result.text += outputs;
  result.structured["finished"] = std::move(finished);
  result.delivered = std::move(outcome.result.ended);
  return result;
}

ToolAnswer wait(ToolCall& call) {
  const auto match = call.arguments.text("match");
  const auto ready = call.arguments.text("ready");
  auto ids = wanted(call);
  if (!ids) return tool_error(ids.error());
  if ((match || ready) && (ids->size() != 1 || (match && ready)))
    return tool_error("match and ready each look at one task: give one task_id and one of them");
  if (ids->empty()) {
    ToolResult none;
    none.structured = {{"wait_status", "no_tasks"},
                       {"waited_ms", 0},
                       {"completed_during_wait", json::array()},
                       {"still_running", json::array()},
                       {"finished", json::array()}};
    none.text = "wait_status: no_tasks\n\nNone of your tasks is running.\n";
    return none;
  }
  const std::string mode = call.arguments.text("mode").value_or("all");
  const TaskId first = ids->front();
  Waiting waiting(call, std::move(*ids), std::chrono::seconds(*call.arguments.integer("timeout")));
  std::optional<conditions::ReadyCheck> check;
  if (ready) {
    auto made = ready_check(*ready);
    if (!made) return tool_error(made.error());
    check = std::move(*made);
    check->watch(call.manager(), first, false);
  }
  auto outcome = match   ? waiting.for_match(*match)
                 : ready ? waiting.for_ready(*check)
                         : waiting.for_ends(mode == "any"             ? WaitMode::any
                                            : mode == "first_failure" ? WaitMode::first_failure
                                                                      : WaitMode::all);
  if (!outcome) return tool_error(outcome.error());
  return told(call, waiting, std::move(*outcome));
}

}  // namespace

const Tool kWaitForTool{
    .name = "WaitFor",
    .title = "Wait for tasks",
    .description =
        "Blocks until tasks end, without polling: yours that run now, or those you name. Also until a line of a task's "
        "output matches, or a port is open (a server is ready). Reports how each ended, with the end of its output.",
    .parameters = kWaitParameters,
    .answers = kWaitAnswers,
    .read_only = true,
    .idempotent = true,
    .call = wait};

}  // namespace perdure::mcp
