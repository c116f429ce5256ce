#include "base/utf8.h"
#include "mcp/service/describe.h"
#include "mcp/service/foreground.h"
#include "mcp/service/news.h"
#include "mcp/service/shown_output.h"
#include "mcp/service/tool.h"
#include "mcp/service/waiting.h"

#include <unistd.h>

#include <fmt/format.h>

#include <array>
#include <csignal>
#include <cstdlib>
#include <cstring>

namespace perdure::mcp {
namespace {

using std::chrono::seconds;

constexpr std::int64_t kForegroundDefault = 60, kForegroundMost = 300, kBackgroundMost = 86'400, kReadyDefault = 45;

constexpr std::array<std::string_view, 2> kInputs = {"null", "pipe"};
constexpr std::array<std::string_view, 3> kIfRunning = {"return", "refuse", "replace"};
constexpr std::array<std::string_view, 3> kRestarts = {"no", "on-failure", "always"};
constexpr TerminalSize kTerminal{.rows = 40, .columns = 120};

constexpr Parameter kBashParameters[] = {
    {.name = "command", .description = "Command line for a fresh shell.", .required = true},
    {.name = "cwd", .description = "Folder to run it in; left out: the server's."},
    {.name = "timeout",
     .type = Parameter::Type::integer,
     .description = "Seconds. Foreground: when it is moved to the background (default 60, at most 300). Background: "
                    "its deadline (default 600, 0 for none).",
     .least = 0,
     .most = kBackgroundMost},
    {.name = "description", .description = "What it is for, in few words. Required with run_in_background."},
    {.name = "run_in_background",
     .type = Parameter::Type::boolean,
     .description = "Return at once. @TaskOutput reads it, @WaitFor waits for it.",
     .default_text = "false"},
    {.name = "disable_timeout",
     .type = Parameter::Type::boolean,
     .description = "Background: no deadline.",
     .default_text = "false"},
    {.name = "pty",
     .type = Parameter::Type::boolean,
     .description = "A terminal (120x40); @TaskWrite types into it.",
     .default_text = "false"},
    {.name = "stdin",
     .description = "pipe: @TaskWrite sends its input. null: end of file.",
     .default_text = R"("null")",
     .words = kInputs},
    {.name = "name",
     .description = "Background: a name, such as dev-server, of at most one live task; usable as task_id."},
    {.name = "if_running",
     .description = "Where a live task has the name.",
     .default_text = R"("return")",
     .words = kIfRunning},
    {.name = "match", .description = "Background: return when a line of its output matches this RE2."},
    {.name = "ready", .description = "Background: return when it serves tcp:8080 or http://localhost:8080/path."},
    {.name = "ready_timeout",
     .type = Parameter::Type::integer,
     .description = "Seconds to wait for match and ready.",
     .least = 1,
     .most = 600,
     .default_text = "45"},
    {.name = "restart", .description = "Background: start it again when it ends.", .words = kRestarts},
    {.name = "stop_signal", .description = "Asks it to end: INT, QUIT, ..."},
    {.name = "on", .description = "Background: run it on an executor of the user's; cwd is a path there."},
};

constexpr Parameter kBashAnswers[] = {
    {.name = "status", .description = "running, completed, failed, timed_out, killed or lost", .required = true},
    {.name = "task_id", .description = "names the task, where it is one"},
    {.name = "exit_code", .type = Parameter::Type::integer, .description = "of the command, where it is known"},
    {.name = "output", .description = "what it printed, stdout and stderr as they came"},
    {.name = "foreground_output", .description = "what it printed until it was moved to the background"},
    {.name = "output_path", .description = "the whole log, where there is more than is shown"},
};

std::optional<int> signal_number(std::string_view text) {
  if (text.starts_with("SIG")) text.remove_prefix(3);
  for (int number = 1; number < NSIG; ++number)
    if (const char* const name = ::sigabbrev_np(number); name != nullptr && name == text) return number;
  return std::nullopt;
}

StartOptions start_options(const ToolCall& call) {
  StartOptions start = call.service.options().start;
  start.shell_line = call.arguments.text("command");
  // Models write commands for bash, unless another shell is configured.
  if (start.shell == StartOptions().shell && ::access("/bin/bash", X_OK) == 0) start.shell = "/bin/bash";
  start.cwd = call.arguments.text("cwd").value_or("");
  start.description = call.arguments.text("description").value_or("");
  start.owner = call.owner();
  start.name = call.arguments.text("name");
  const auto if_running = call.arguments.text("if_running");
  if (if_running == "refuse") start.if_running = IfRunning::refuse;
  if (if_running == "replace") start.if_running = IfRunning::replace;
  const auto restart = call.arguments.text("restart");
  if (restart == "on-failure") start.restart.when = RestartOptions::When::on_failure;
  if (restart == "always") start.restart.when = RestartOptions::When::always;
  if (const auto signal = call.arguments.text("stop_signal")) start.stop_signal = signal_number(*signal).value_or(0);
  if (call.arguments.text("stdin") == "pipe") start.input = Input::pipe;
  if (call.arguments.is_true("pty")) {
    start.terminal = kTerminal;
    start.env["TERM"] = "xterm-256color";
  } else {
    // Tells programs that prompt, page or colour that there is no terminal; the user's own settings stay.
    for (const auto& [name, value] : {std::pair("NO_COLOR", "1"), {"TERM", "dumb"}, {"GIT_TERMINAL_PROMPT", "0"}})
      if (std::getenv(name) == nullptr) start.env[name] = value;
  }
  start.env["SHELL"] = start.shell;
  start.on = call.arguments.text("on").value_or("");
  start.tool_call_id = tool_use_of(call.request);
  if (call.request.caller.has_tasks()) start.delivered_by = kDeliveredByTasks;
  return start;
}

std::optional<std::string> fault_in(const Arguments& arguments) {
  const bool background = arguments.is_true("run_in_background");
  const std::int64_t timeout = arguments.integer("timeout").value_or(1);
  if (background && arguments.text("description").value_or("").empty())
    return "description: is required with run_in_background";
  if (!background && arguments.has("on")) return "on: is for run_in_background only";
  if (!background && arguments.is_true("disable_timeout")) return "disable_timeout: is for run_in_background only";
  if (!background && timeout > kForegroundMost)
    return fmt::format("timeout: {} is over the maximum of {} in the foreground; up to {} with run_in_background",
                       timeout, kForegroundMost, kBackgroundMost);
  if (!background && timeout == 0) return "timeout: 0 is below the minimum of 1 in the foreground";
  if (!background && arguments.has("name")) return "name: is for run_in_background only";
  if (!background && arguments.text("restart").value_or("no") != "no") return "restart: is for run_in_background only";
  if (const auto signal = arguments.text("stop_signal"); signal && !signal_number(*signal))
    return fmt::format("stop_signal: expected a signal such as INT or QUIT, got '{}'", to_valid_utf8(*signal));
  if (arguments.has("if_running") && !arguments.has("name")) return "if_running: is for name only";
  if (!background && (arguments.has("match") || arguments.has("ready")))
    return "match and ready: are for run_in_background only";
  if (arguments.is_true("disable_timeout") && arguments.has("timeout") && timeout != 0)
    return "timeout: excludes disable_timeout";
  return std::nullopt;
}

// The deadline in words: a server that a model starts with the default deadline would be stopped after ten minutes (N26).
std::string deadline_in_words(const ToolCall& call, const Task& task) {
  const std::int64_t ms = task.limits.timeout_ms.value_or(0);
  if (ms <= 0) return "";
  const std::int64_t s = ms / 1000;
  const std::string length = s >= 120 && s % 60 == 0 ? fmt::format("{} minutes", s / 60) : fmt::format("{} seconds", s);
  const bool was_asked = call.arguments.has("timeout");
  return fmt::format(" Its deadline ends it after {}{}.", length,
                     was_asked ? "" : "; a server is started with disable_timeout=true");
}

// The next steps with a started task. A client that uses the protocol's tasks learns of the end by those.
std::string next_step(const ToolCall& call, const Task& task) {
  return call.words(fmt::format(
      "It goes on also when this conversation ends.{} @TaskOutput reads what it prints, @WaitFor waits for its end, "
      "@TaskStop ends it{}",
      deadline_in_words(call, task),
      call.request.asks_for_task() ? "" : "; its end is reported with your next call of a tool of this server"));
}

// `why` is absent if the caller requested a task.
TaskStarted started(ToolCall& call, Task task, std::optional<std::string> why) {
  call.service.note_started(task.id);
  ToolResult told;
  told.structured = {{"task_id", task.id.str()},
                     {"pid", task.process.pid},
                     {"description", to_valid_utf8(task.description)},
                     {"status", name_of(task.status)}};
  if (task.name) told.structured["name"] = *task.name;
  if (task.found.existing) {
    told.structured["existing"] = true;
    told.structured["same_command"] = task.found.same_command;
  }
  if (call.request.asks_for_task()) told.structured["automatic_notification"] = true;
  std::string output;
  if (task.executor) told.structured["on"] = task.executor->name;
  if (why) {
    told.structured["moved_because"] = *why;
    const auto shown = show_tail(call.service, call.request.caller, task, Service::preview_limit(call.request.caller));
    if (shown) {
      output = shown->text;
      told.structured["next_offset"] = shown->next_offset;
    }
  }
  told.structured["next"] = next_step(call, task);
  told.text = lines_of(told.structured);
  if (why) told.structured["foreground_output"] = output;
  if (!output.empty()) told.text += fmt::format("\nOutput so far:\n{}", output);
  return {std::move(task), std::move(told)};
}

// The result of a start that waits until the command is ready. Not a task of the protocol, which has no such state.
ToolAnswer when_ready(ToolCall& call, Task task, const std::optional<std::string>& match,
                      std::optional<conditions::ReadyCheck>& ready) {
  const TaskId id = task.id;
  const bool existing = task.found.existing;
  TaskStarted start = started(call, std::move(task), std::nullopt);
  ToolResult& told = start.told;
  Waiting waiting(call, {id}, seconds(call.arguments.integer("ready_timeout").value_or(kReadyDefault)));
  if (ready) ready->watch(call.manager(), id, !existing);
  Result<Waited> waited = match ? waiting.for_match(*match) : waiting.for_ready(*ready);
  if (match && ready && waited && waited->matched.value_or(false)) {
    const auto line = waited->line;
    waited = waiting.for_ready(*ready);
    if (waited) waited->line = line;
  }
  if (!waited) return tool_error(fmt::format("{}; task_id: {}", waited.error().message, id.str()));
  const bool is_ready = waited->matched.value_or(false);
  if (!is_ready && !existing && waited->result.ended.empty() &&
      call.request.call.why == jsonrpc::Call::Ended::cancelled) {
    // The client does not know the task, so it would never stop it.
    auto stopped = call.manager().stop(id, {.reason = "Interrupted", .by = call.owner()});
    if (!stopped) return tool_error(stopped.error());
    waited->result.ended = {std::move(*stopped)};
  }
  json::object facts{{"matched", is_ready}};
  if (waited->line) facts["matched_line"] = *waited->line;
  if (!waited->note.empty()) facts["ready_note"] = waited->note;
  if (waited->result.ended.empty()) {
    facts["waited_ms"] = waiting.waited_ms();
    for (auto& member : told.structured) facts[member.key()] = std::move(member.value());
    told.text = lines_of(facts);
    told.structured = std::move(facts);
    return std::move(told);
  }
  Task& ended = waited->result.ended.front();
  const Caller& caller = call.request.caller;
  auto shown = show_tail(call.service, caller, ended, Service::preview_limit(caller));
  if (!shown) return tool_error(shown.error());
  told.structured = answer_members(caller, ended, *shown, "");
  for (auto& fact : facts) told.structured[fact.key()] = std::move(fact.value());
  told.text = answer_text(told.structured);
  told.command_failed = ended.status != Status::completed;
  told.delivered.push_back(std::move(ended));
  return std::move(told);
}

std::string foreground_sentence(const Outcome& outcome) {
  const Task& task = outcome.task;
  if (outcome.how == Outcome::How::interrupted) return "The command was interrupted.";
  if (task.status == Status::timed_out) return "The command was killed by its timeout.";
  if (task.process.exit_code) return fmt::format("Exit code: {}", *task.process.exit_code);
  return outcome_sentence(task);
}

ToolAnswer finished(ToolCall& call, const Outcome& outcome) {
  const Task& task = outcome.task;
  const Caller& caller = call.request.caller;
  const std::int64_t limit = Service::preview_limit(caller);
  const std::int64_t leftovers = task.process.leftovers.value_or(0);
  auto shown = show_tail(call.service, caller, task, limit);
  if (!shown) return tool_error(shown.error());
  // L41: output that is not in the answer must stay readable.
  const bool is_kept = !shown->is_whole || !shown->collapsed.empty();
  if (is_kept) {
    if (auto kept = call.manager().retain_output(task.id); !kept) return tool_error(kept.error());
    shown = show_tail(call.service, caller, task, limit);
    if (!shown) return tool_error(shown.error());
  }
  ToolResult result;
  result.structured = {{"output", shown->text}, {"status", name_of(task.status)}};
  if (task.process.exit_code) result.structured["exit_code"] = *task.process.exit_code;
  if (task.process.signal) result.structured["signal"] = *task.process.signal;
  if (task.stop_reason) result.structured["stop_reason"] = to_valid_utf8(*task.stop_reason);
  if (!shown->failure.empty()) result.structured["failure_line"] = shown->failure;
  std::string facts;
  if (!shown->failure.empty()) facts += fmt::format("failure_line: {}\n", shown->failure);
  if (is_kept || leftovers > 0) {
    result.structured["task_id"] = task.id.str();
    facts += fmt::format("task_id: {}\n", task.id.str());
  }
  if (is_kept && shown->path) {
    result.structured["output_path"] = to_valid_utf8(*shown->path);
    result.structured["output_size_bytes"] = shown->size;
    facts += fmt::format("output_path: {}\noutput_size_bytes: {}{}\n", to_valid_utf8(*shown->path), shown->size,
                         shown->is_whole ? "" : fmt::format(" (only the last {} are shown)", shown->text.size()));
    result.outputs.push_back(task.id);
  }
  if (!shown->collapsed.empty()) {
    const std::string note = call.words(fmt::format("{}; @TaskOutput with raw=true has them", shown->collapsed));
    result.structured["collapsed"] = note;
    facts += fmt::format("collapsed: {}\n", note);
  }
  if (leftovers > 0) {
    result.structured["leftovers"] = leftovers;
    facts += call.words(fmt::format("leftovers: {} process{} that it started still run; @TaskStop ends them\n",
                                    leftovers, leftovers == 1 ? "" : "es"));
  }
  const bool ends_line = shown->text.empty() || shown->text.ends_with('\n');
  result.text = fmt::format("{}{}{}{}\n", shown->text, ends_line ? "" : "\n", facts, foreground_sentence(outcome));
  result.command_failed = task.status != Status::completed;
  return result;
}

ToolAnswer run_bash(ToolCall& call) {
  if (auto wrong = fault_in(call.arguments)) return tool_error(std::move(*wrong));
  StartOptions start = start_options(call);
  const auto timeout = call.arguments.integer("timeout");
  // A client that requests a task waits for that one, with its own timeout.
  if (call.arguments.is_true("run_in_background") || call.request.asks_for_task()) {
    start.timeout = call.arguments.is_true("disable_timeout") ? seconds(0)
                    : timeout                                 ? seconds(*timeout)
                                                              : call.service.options().background_timeout;
    const auto match = call.arguments.text("match"), ready = call.arguments.text("ready");
    if (auto wrong = condition_fault(match, ready)) return tool_error(std::move(*wrong));
    std::optional<conditions::ReadyCheck> check;
    if (ready) {
      auto made = ready_check(*ready);
      if (!made) return tool_error(made.error());
      check = std::move(*made);
    }
    if (start.name && start.if_running == IfRunning::replace)
      if (const auto holder = call.manager().named(*start.name);
          holder && *holder && !is_terminal((*holder)->status) && (*holder)->owner != start.owner)
        return tool_error(fmt::format("the name '{}' belongs to {} of another owner: it can't be replaced from here",
                                      *start.name, (*holder)->id.str()));
    auto task = call.manager().start(start);
    if (!task) return tool_error(task.error());
    if ((match || ready) && !call.request.asks_for_task()) return when_ready(call, std::move(*task), match, check);
    return started(call, std::move(*task), std::nullopt);
  }
  const seconds patience(timeout.value_or(kForegroundDefault));
  auto outcome = run_in_foreground(call, std::move(start), patience, call.service.options().background_timeout);
  if (!outcome) return tool_error(outcome.error());
  if (outcome->how != Outcome::How::moved_to_background) return finished(call, *outcome);
  return started(call, std::move(outcome->task), std::move(outcome->why));
}

}  // namespace

const Tool kBashTool{
    .name = "Bash",
    .title = "Run a command",
    .description =
        "Runs a shell command and returns its output and exit code. One that outlasts its timeout is moved to the "
        "background, and you get its task_id. With run_in_background you get a task_id at once: for builds, servers, "
        "tests, anything over a minute. A background task survives this conversation and a restart of the agent.",
    .parameters = kBashParameters,
    .answers = kBashAnswers,
    .destructive = true,
    .open_world = true,
    .may_be_task = true,
    .call = run_bash};

}  // namespace perdure::mcp
