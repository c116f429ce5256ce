#include "mcp/service/describe.h"
#include "mcp/service/tool.h"

namespace perdure::mcp {
namespace {

// TaskStop

constexpr Parameter kStopParameters[] = {
    kTaskId,
    {.name = "reason", .description = "Why, for the record.", .default_text = R"("Stopped by TaskStop")"},
    kAllOwners,
};
constexpr Parameter kStopAnswers[] = {
    {.name = "task_id", .description = "the task", .required = true},
    {.name = "status", .description = "how it ended; for a task that had ended before, that", .required = true},
    {.name = "reason", .description = "why it was stopped"},
};

ToolAnswer stop(ToolCall& call) {
  auto task = call.service.find(call.request.caller, *call.arguments.text("task_id"), call.all_owners());
  if (!task) return tool_error(task.error());
  auto stopped = call.manager().stop(
      task->id, {.reason = call.arguments.text("reason").value_or("Stopped by TaskStop"), .by = call.owner()});
  if (!stopped) return tool_error(stopped.error());
  ToolResult result;
  result.structured = {{"task_id", stopped->id.str()}, {"status", name_of(stopped->status)}};
  if (stopped->stop_reason) result.structured["reason"] = *stopped->stop_reason;
  result.text = lines_of(result.structured);
  result.delivered.push_back(std::move(*stopped));
  return result;
}

// TaskDetach

constexpr Parameter kDetachParameters[] = {kTaskId, kAllOwners};
constexpr Parameter kDetachAnswers[] = {
    {.name = "task_id", .description = "the task", .required = true},
    {.name = "status", .description = "running, or how it ended", .required = true},
    {.name = "detached",
     .type = Parameter::Type::boolean,
     .description = "true: it is in the background",
     .required = true},
};

ToolAnswer detach(ToolCall& call) {
  auto task = call.service.find(call.request.caller, *call.arguments.text("task_id"), call.all_owners());
  if (!task) return tool_error(task.error());
  auto detached = call.manager().detach(task->id);
  if (!detached) return tool_error(detached.error());
  ToolResult result;
  result.structured = {
      {"task_id", detached->id.str()}, {"status", name_of(detached->status)}, {"detached", detached->detached}};
  result.text = lines_of(result.structured);
  return result;
}

}  // namespace

const Tool kTaskStopTool{.name = "TaskStop",
                         .title = "Stop a task",
                         .description =
                             "Ends a task with everything it started: SIGTERM, five seconds later SIGKILL. Returns "
                             "when it is gone. A task that has ended stays as it is.",
                         .parameters = kStopParameters,
                         .answers = kStopAnswers,
                         .destructive = true,
                         .idempotent = true,
                         .call = stop};

const Tool kTaskDetachTool{.name = "TaskDetach",
                           .title = "Detach a task",
                           .description =
                               "Moves a foreground command to the background. A "
                               "task that is there already, or has ended, stays as it is.",
                           .parameters = kDetachParameters,
                           .answers = kDetachAnswers,
                           .idempotent = true,
                           .call = detach};

}  // namespace perdure::mcp
