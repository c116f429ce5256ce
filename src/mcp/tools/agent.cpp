#include "base/clock.h"
#include "base/try.h"
#include "base/utf8.h"
#include "mcp/service/describe.h"
#include "mcp/service/news.h"
#include "mcp/service/shown_output.h"
#include "mcp/service/tool.h"
#include <perdure/agent.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>

namespace perdure::mcp {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr std::int64_t kLeastTimeout = 30, kMostTimeout = 3'600;
constexpr std::int64_t kIdPatienceMs = 10'000;  // real agents take 2 to 6 s until they have a session

constexpr Parameter kAgentParameters[] = {
    {.name = "prompt",
     .description = "What the subagent is to do. It knows nothing of this conversation.",
     .required = true},
    {.name = "description", .description = "What it is for, in few words.", .required = true},
    {.name = "subagent_type", .description = "Which agent, by its configured name; left out: one like you."},
    {.name = "resume",
     .description = "agent_id of a subagent of yours, which continues with all it knows. Excludes subagent_type."},
    {.name = "run_in_background",
     .type = Parameter::Type::boolean,
     .description = "Return at once. It goes on also when this conversation ends.",
     .default_text = "false"},
    {.name = "timeout",
     .type = Parameter::Type::integer,
     .description = "Seconds after which its turn is ended; it can then be resumed.",
     .least = kLeastTimeout,
     .most = kMostTimeout},
    {.name = "on", .description = "Background: on an executor of the user's; what it asks permission for is refused."},
};

constexpr Parameter kAgentAnswers[] = {
    {.name = "task_id", .description = "names the task: for @WaitFor, @TaskOutput and @TaskStop", .required = true},
    {.name = "agent_id", .description = "names the subagent: for resume"},
    {.name = "actual_subagent_type", .description = "which agent it is", .required = true},
    {.name = "status", .description = "running, completed, failed, timed_out, killed or lost", .required = true},
    {.name = "output", .description = "its final message, once it has ended"},
};

// The default is a subagent of the client's own kind.
std::expected<std::string, std::string> choose_agent(const ToolCall& call) {
  if (auto named = call.arguments.text("subagent_type")) return *named;
  constexpr std::array<std::pair<std::string_view, std::string_view>, 8> kKinds = {{{"claude", "claude"},
                                                                                    {"codex", "codex"},
                                                                                    {"gemini", "gemini"},
                                                                                    {"kimi", "kimi"},
                                                                                    {"opencode", "opencode"},
                                                                                    {"qwen", "qwen"},
                                                                                    {"copilot", "copilot"},
                                                                                    {"goose", "goose"}}};
  const auto& configured = call.service.options().configured_agents;
  if (configured.size() == 1) return configured.front();
  for (const auto& [prefix, name] : kKinds)
    if (call.request.caller.name.starts_with(prefix)) return std::string(name);
  return std::unexpected(fmt::format("subagent_type: say which agent; configured are {}",
                                     configured.empty() ? "none" : fmt::format("{}", fmt::join(configured, ", "))));
}

std::expected<AgentOptions, std::string> agent_options(const ToolCall& call) {
  AgentOptions options;
  options.start = call.service.options().start;
  options.prompt = call.arguments.text("prompt").value_or("");
  options.resume = call.arguments.text("resume");
  if (options.resume && call.arguments.has("subagent_type"))
    return std::unexpected("subagent_type: excludes resume; the agent_id says which agent it is");
  if (!options.resume) {
    TRY(auto agent, choose_agent(call));
    options.agent = std::move(agent);
  }
  options.start.description = call.arguments.text("description").value_or("");
  if (options.start.description.find_first_not_of(' ') == std::string::npos)
    return std::unexpected("description: is blank");
  options.start.owner = call.owner();
  options.start.tool_call_id = tool_use_of(call.request);
  if (call.request.caller.has_tasks()) options.start.delivered_by = kDeliveredByTasks;
  if (auto on = call.arguments.text("on")) {
    if (!call.arguments.is_true("run_in_background")) return std::unexpected("on: is for run_in_background only");
    options.start.on = std::move(*on);
    options.permission = PermissionPolicy::deny;
  }
  options.start.timeout = seconds(call.arguments.integer("timeout").value_or(0));
  return options;
}

std::string how_to_resume(const ToolCall& call, const Task& task) {
  if (!task.agent.id) return call.words("The agent has no id yet: @TaskOutput shows it once it has one.");
  return call.words("To go on with this subagent later, call @Agent with resume=") +
         fmt::format("\"{}\" (not with the task_id).", to_plain_text(task.agent.id->text, false));
}

json::object names_of(const Task& task) {
  json::object members{{"task_id", task.id.str()}};
  if (task.agent.id) members["agent_id"] = to_valid_utf8(task.agent.id->text);
  members["actual_subagent_type"] = to_valid_utf8(task.agent.type.value_or(""));
  members["status"] = name_of(task.status);
  return members;
}

// Its last activity, for users who watch.
std::string last_activity(const TaskManager& manager, const TaskId& id) {
  constexpr std::int64_t kTail = 4'096;
  const auto size = manager.read_activity(id, 0, 0);
  if (!size || size->size == 0) return "starting";
  const auto chunk = manager.read_activity(id, std::max<std::int64_t>(0, size->size - kTail), kTail);
  if (!chunk) return "working";
  std::string_view lines = chunk->bytes;
  lines = lines.substr(0, lines.find_last_not_of('\n') + 1);
  const auto start = lines.rfind('\n');
  boost::system::error_code error;
  const json::value entry = json::parse(lines.substr(start == std::string_view::npos ? 0 : start + 1), error);
  if (error || !entry.is_object()) return "working";
  const auto* const title = entry.get_object().if_contains("title");
  const auto* const type = entry.get_object().if_contains("type");
  std::string text = type != nullptr && type->is_string() ? std::string(type->get_string()) : "working";
  // It is blocked until the question is answered.
  const auto* const question = entry.get_object().if_contains("id");
  if (text == "question" && question != nullptr && question->is_string())
    return fmt::format("waits for an answer: perdure answer {}", std::string_view(question->get_string()));
  if (title != nullptr && title->is_string()) text += ": " + to_plain_text(title->get_string(), false);
  return text;
}

// Waits until its agent has an id, it has ended, or a while has passed.
Result<Task> await_agent_id(const ToolCall& call, const TaskId& id) {
  const std::int64_t until = steady_ms() + kIdPatienceMs;
  while (true) {
    TRY(const auto seen, call.manager().read_activity(id, 0, 0));
    auto task = call.manager().get(id);
    if (!task || task->agent.id || is_terminal(task->status)) return task;
    const std::int64_t left = until - steady_ms();
    if (left <= 0 || call.request.call.stop.is_raised() || task->status == Status::queued) return task;
    TRY_VOID(
        call.manager().await_activity(id, seen.size, milliseconds(left), Cancellation::when_readable(call.stop_fd())));
  }
}

TaskStarted started(const ToolCall& call, Task task, std::string_view why) {
  ToolResult told;
  told.structured = names_of(task);
  told.structured["description"] = to_valid_utf8(task.description);
  if (call.request.asks_for_task()) told.structured["automatic_notification"] = true;
  if (!why.empty()) told.structured["moved_because"] = why;
  told.structured["next"] =
      call.words(
          "The subagent works in the background, also when this conversation ends. @WaitFor waits for its final "
          "message, @TaskStop ends it. ") +
      how_to_resume(call, task);
  told.text = lines_of(told.structured);
  return {std::move(task), std::move(told)};
}

ToolAnswer ended(ToolCall& call, const Task& task) {
  const Caller& caller = call.request.caller;
  auto shown = show_tail(call.service, caller, task, Service::preview_limit(caller));
  if (!shown) return tool_error(shown.error());
  json::object members = answer_members(caller, task, *shown, "");
  ToolResult result;
  result.structured = {{"output", shown->text}};
  for (auto& member : names_of(task)) result.structured[member.key()] = std::move(member.value());
  for (auto& member : members)
    if (!result.structured.contains(member.key())) result.structured[member.key()] = std::move(member.value());
  result.structured["next"] = how_to_resume(call, task);
  if (shown->text.empty()) members["output"] = "(no final message)\n";
  members["actual_subagent_type"] = to_valid_utf8(task.agent.type.value_or(""));
  result.text = answer_text(members) + how_to_resume(call, task) + "\n";
  result.command_failed = task.status != Status::completed;
  if (shown->path) result.outputs.push_back(task.id);
  result.delivered.push_back(task);
  return result;
}

ToolAnswer interrupt(ToolCall& call, const TaskId& id) {
  auto stopped = call.manager().stop(id, {.reason = "Interrupted", .by = call.owner()});
  if (!stopped) return tool_error(stopped.error());
  return ended(call, *stopped);
}

ToolAnswer wait_for_end(ToolCall& call, const TaskId& id) {
  const std::int64_t begun = steady_ms();
  const auto progress = [&](std::size_t) {
    const std::int64_t waited_s = (steady_ms() - begun) / 1000;
    report_progress(call.request, static_cast<double>(waited_s), last_activity(call.manager(), id));
  };
  auto waited = call.manager().wait({.ids = {id},
                                     .cancel = Cancellation::when_readable(call.stop_fd()),
                                     .progress = progress,
                                     .part_of_longer_wait = true});
  if (!waited) return tool_error(waited.error());
  if (!waited->ended.empty()) return ended(call, waited->ended.front());
  if (call.request.call.why == jsonrpc::Call::Ended::hung_up)
    return started(call, std::move(waited->running.front()), "its caller has gone");
  return interrupt(call, id);
}

ToolAnswer in_background(ToolCall& call, Task task) {
  // A client that gets the task by the protocol receives the agent's id by it, too.
  if (call.request.caller.has_tasks() || call.request.asks_for_task()) return started(call, std::move(task), "");
  auto known = await_agent_id(call, task.id);
  if (!known) return started(call, std::move(task), "");
  // If an agent could not even begin, that is the answer, not a later notification.
  if (is_terminal(known->status)) return ended(call, *known);
  // The client does not know the task yet, so it would never stop it.
  if (call.request.call.why == jsonrpc::Call::Ended::cancelled) return interrupt(call, task.id);
  return started(call, std::move(*known), "");
}

ToolAnswer run_agent(ToolCall& call) {
  auto options = agent_options(call);
  if (!options) return tool_error(std::move(options.error()));
  auto task = call.manager().start(*options);
  if (!task) return tool_error(task.error());
  call.service.note_started(task->id);
  if (call.arguments.is_true("run_in_background") || call.request.asks_for_task())
    return in_background(call, std::move(*task));
  return wait_for_end(call, task->id);
}

}  // namespace

const Tool kAgentTool{
    .name = "Agent",
    .title = "Run a subagent",
    .description =
        "Starts another coding agent as a task: it works by itself on your prompt in this folder, and its final "
        "message is the answer. With run_in_background you get a task_id and an agent_id at once. However it ended, it "
        "can be resumed by its agent_id with a new prompt. What it asks permission for is asked of the person "
        "(`perdure answer`), unless configured otherwise.",
    .parameters = kAgentParameters,
    .answers = kAgentAnswers,
    .destructive = true,
    .open_world = true,
    .may_be_task = true,
    .call = run_agent};

}  // namespace perdure::mcp
