#include "base/clock.h"
#include "base/utf8.h"
#include "mcp/protocol/client.h"
#include "mcp/service/describe.h"
#include "mcp/service/prompt_guess.h"
#include "mcp/service/shown_output.h"
#include "mcp/service/tool.h"
#include "view/task_screen.h"

#include <fmt/format.h>

#include <algorithm>

namespace perdure::mcp {
namespace {

constexpr std::int64_t kTailMost = 32'768;

// TaskList

constexpr Parameter kListParameters[] = {
    {.name = "active_only",
     .type = Parameter::Type::boolean,
     .description = "Leave out tasks that have ended.",
     .default_text = "true"},
    {.name = "limit",
     .type = Parameter::Type::integer,
     .description = "At most so many: running ones first, then ended ones, newest first.",
     .least = 1,
     .most = 100,
     .default_text = "20"},
    kAllOwners,
};
constexpr Parameter kListAnswers[] = {
    {.name = "count", .type = Parameter::Type::integer, .description = "tasks that are shown", .required = true},
    {.name = "omitted",
     .type = Parameter::Type::integer,
     .description = "tasks that the limit left out",
     .required = true},
    {.name = "tasks", .type = Parameter::Type::any, .description = "one object a task", .required = true},
};

ToolAnswer list(ToolCall& call) {
  const bool active_only = !call.arguments.has("active_only") || call.arguments.is_true("active_only");
  ListFilter filter{.ended = !active_only};
  if (!call.all_owners()) filter.owner = call.owner();
  filter.leftovers = true;
  auto found = call.manager().list(filter);
  if (!found) return tool_error(found.error());
  std::erase_if(
      *found, [](const Task& task) { return is_terminal(task.status) && !task.detached && !task.found.has_leftovers; });
  std::ranges::stable_sort(*found, [](const Task& a, const Task& b) {
    if (is_terminal(a.status) != is_terminal(b.status)) return !is_terminal(a.status);
    return is_terminal(a.status) && ms_of(a.ended_at).value_or(0) > ms_of(b.ended_at).value_or(0);
  });
  const auto limit = static_cast<std::size_t>(call.arguments.integer("limit").value_or(20));
  const std::size_t shown = std::min(limit, found->size());
  ToolResult result;
  json::array tasks;
  result.text =
      fmt::format("{} {}task{}{}\n", found->size(), active_only ? "active " : "", found->size() == 1 ? "" : "s",
                  shown < found->size() ? fmt::format(", {} of them not shown", found->size() - shown) : "");
  for (std::size_t i = 0; i < shown; ++i) {
    tasks.push_back(listed_task((*found)[i]));
    if (call.all_owners() && (*found)[i].owner) tasks.back().get_object()["owner"] = to_valid_utf8(*(*found)[i].owner);
    result.text += task_line((*found)[i], call.all_owners()) + "\n";
  }
  if (!traits_of(call.request.caller).list_as_text)
    result.structured = {{"count", shown}, {"omitted", found->size() - shown}, {"tasks", std::move(tasks)}};
  return result;
}

// TaskOutput

constexpr Parameter kOutputParameters[] = {
    kTaskId,
    {.name = "offset",
     .type = Parameter::Type::integer,
     .description = "Read from this byte on; next_offset of the last answer continues there.",
     .least = 0},
    {.name = "limit",
     .type = Parameter::Type::integer,
     .description = "With offset: at most so many bytes.",
     .least = 1,
     .most = 1 << 20},
    {.name = "tail",
     .type = Parameter::Type::integer,
     .description = "Without offset: so many bytes of the end.",
     .least = 0,
     .most = 1 << 20,
     .default_text = "32768"},
    {.name = "raw", .type = Parameter::Type::boolean, .description = "Exactly as printed.", .default_text = "false"},
    {.name = "screen",
     .type = Parameter::Type::boolean,
     .description = "Of a task with pty: what its terminal shows.",
     .default_text = "false"},
    {.name = "block",
     .type = Parameter::Type::boolean,
     .description = "Wait for its end first. @WaitFor does that for several, with progress.",
     .default_text = "false"},
    {.name = "timeout",
     .type = Parameter::Type::integer,
     .description = "Seconds to wait with block.",
     .least = 0,
     .most = 3600,
     .default_text = "30"},
    kAllOwners,
};
constexpr Parameter kOutputAnswers[] = {
    {.name = "retrieval_status", .description = "success, not_ready (it runs on) or timeout", .required = true},
    {.name = "task_id", .description = "the task", .required = true},
    {.name = "status", .description = "running, completed, failed, timed_out, killed or lost", .required = true},
    {.name = "output", .description = "what was asked for, as text", .required = true},
    {.name = "next_offset",
     .type = Parameter::Type::integer,
     .description = "offset for the next call, where there may be more"},
    {.name = "eof",
     .type = Parameter::Type::boolean,
     .description = "nothing will come behind what is shown",
     .required = true},
    {.name = "output_size_bytes", .type = Parameter::Type::integer, .description = "all bytes so far"},
    {.name = "output_path", .description = "the whole log as a file"},
};

ToolAnswer output(ToolCall& call) {
  auto task = call.service.find(call.request.caller, *call.arguments.text("task_id"), call.all_owners());
  if (!task) return tool_error(task.error());
  const bool block = call.arguments.is_true("block");
  if (block && !is_terminal(task->status)) {
    const std::chrono::seconds timeout(call.arguments.integer("timeout").value_or(30));
    auto waited = call.manager().wait({.ids = {task->id},
                                       .timeout = timeout,
                                       .cancel = Cancellation::when_readable(call.stop_fd()),
                                       .part_of_longer_wait = true});
    if (!waited) return tool_error(waited.error());
    *task = waited->only();
  }
  const Caller& caller = call.request.caller;
  const auto offset = call.arguments.integer("offset");
  const std::int64_t tail = call.arguments.integer("tail").value_or(kTailMost);
  const std::int64_t wanted = call.arguments.integer("limit").value_or(tail);
  const bool raw = call.arguments.is_true("raw");
  const bool as_screen = call.arguments.is_true("screen");
  if (as_screen && (offset || raw || call.arguments.has("tail")))
    return tool_error("screen: excludes offset, tail and raw");
  auto shown = offset ? show_window(call.service, caller, *task, *offset, call.arguments.integer("limit"), raw)
                      : show_tail(call.service, caller, *task, tail, raw);
  if (!shown) return tool_error(shown.error());
  if (as_screen) {
    auto screen = view::screen_of(call.manager(), task->id);
    if (!screen) return tool_error(screen.error());
    shown->text = std::move(screen->text);
    shown->is_whole = true;
    shown->collapsed.clear();
  }
  const bool ended = is_terminal(task->status);
  ToolResult result;
  result.structured = answer_members(caller, *task, *shown, ended ? "success" : block ? "timeout" : "not_ready");
  if (const std::int64_t limit = Service::preview_limit(caller); wanted > limit && !shown->is_whole)
    result.structured["preview_limit_bytes"] = limit;
  add_prompt_guess(call.manager(), caller, *task, result.structured);
  result.text = answer_text(result.structured);
  if (ended) result.delivered.push_back(std::move(*task));
  return result;
}

}  // namespace

const Tool kTaskListTool{.name = "TaskList",
                         .title = "List tasks",
                         .description =
                             "Lists your background tasks, one a line: what runs, what has ended and how. Also those "
                             "from before a restart of this agent.",
                         .parameters = kListParameters,
                         .answers = kListAnswers,
                         .read_only = true,
                         .idempotent = true,
                         .call = list};

const Tool kTaskOutputTool{
    .name = "TaskOutput",
    .title = "Read a task's output",
    .description =
        "Reads what a task printed, while it runs and after its end, with its status and exit code: the end of it, or "
        "with offset from there on (next_offset of one answer is the offset of the next, eof says when there is no "
        "more). Colours are removed, redrawn and repeated lines collapsed, unless raw.",
    .parameters = kOutputParameters,
    .answers = kOutputAnswers,
    .read_only = true,
    .idempotent = true,
    .call = output};

}  // namespace perdure::mcp
