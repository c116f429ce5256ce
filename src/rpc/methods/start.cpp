#include "base/clock.h"
#include "base/words.h"
#include "manager/link/program.h"
#include "rpc/methods/methods.h"

#include <algorithm>
#include <array>

// task.start, task.rerun, agent.start
namespace perdure::rpc {
namespace {

void read_task_options(const Request& request, StartOptions& start) {
  start.description = request.text("description").value_or("");
  start.cwd = request.text("cwd").value_or("");
  start.env = request.map("env");
  start.clear_env = request.is_true("clearEnv");
  start.timeout = request.time("timeoutMs").value_or(start.timeout);
  start.grace = request.time("graceMs").value_or(start.grace);
  if (const auto limit = request.integer("outputLimit")) start.output_limit = limit;
  if (const auto word = request.text("onOutputLimit"))
    start.on_output_limit = *word == "stop" ? OnOutputLimit::stop : OnOutputLimit::truncate;
  start.session_lifetime = request.text("lifetime") == "session";
  start.owner = request.owner();
  start.tool_call_id = request.text("toolCallId");
  start.labels = request.map("labels");
  start.on_end = request.texts("onEnd");
  start.idempotency_key = request.text("idempotencyKey");
  start.queue = request.is_true("queue");
  start.priority = static_cast<int>(request.integer("priority").value_or(0));
}

// Sets `after` and `after_any`.
Result<> read_after(const Request& request, StartOptions& start) {
  for (const auto& [name, ids] : {std::pair("after", &start.after), std::pair("afterAny", &start.after_any)})
    for (const auto& text : request.texts(name)) {
      auto id = TaskId::parse(id_in_reference(text));
      if (!id) return std::unexpected(id.error());
      ids->push_back(std::move(*id));
    }
  return {};
}

// What a live task of the same name, or the task that is to be started again, has happen.
std::optional<IfRunning> if_running_of(const Request& request) {
  const auto word = request.text("ifRunning");
  if (!word) return std::nullopt;
  return *word == "refuse" ? IfRunning::refuse : *word == "replace" ? IfRunning::replace : IfRunning::give_back;
}

RestartOptions restart_of(const Request& request) {
  RestartOptions restart;
  const auto word = request.text("restart");
  if (word == "on-failure") restart.when = RestartOptions::When::on_failure;
  if (word == "always") restart.when = RestartOptions::When::always;
  if (const auto most = request.integer("restartMax")) restart.most = static_cast<int>(*most);
  restart.delay = request.time("restartDelayMs").value_or(restart.delay);
  return restart;
}

Reply reply_of_start(Request& request, const Task& task, std::int64_t began) {
  const auto& place = request.client.place;
  if (request.options.on_start)
    request.after_answer = [place, &options = request.options] { options.on_start(place->manager(), place->config()); };
  json::object result{{"task", task_json(task)}};
  const bool key_was_known =
      task.origin.idempotency_key && ms_of(task.queue.queued_at).value_or(ms_of(task.started_at)) < began;
  if (task.found.existing || key_was_known) result["existing"] = true;
  if (task.found.existing) result["sameCommand"] = task.found.same_command;
  return result;
}

Reply start(Request& request) {
  StartOptions start = default_start(request.client.place->config());
  read_task_options(request, start);
  start.argv = request.texts("argv");
  start.shell_line = request.text("command");
  if (start.shell_line.has_value() != start.argv.empty())
    return refused("expected one of command and argv: what to run");
  if (auto shell = request.text("shell")) start.shell = std::move(*shell);
  start.idle_timeout = request.time("idleTimeoutMs").value_or(start.idle_timeout);
  if (request.text("input") == "pipe") start.input = Input::pipe;
  if (const auto* const size = request.find("terminal")) {
    const auto member = [&](std::string_view name, unsigned short otherwise) {
      const auto* const value = size->get_object().if_contains(name);
      return value == nullptr || value->is_null() ? otherwise : static_cast<unsigned short>(value->get_int64());
    };
    start.terminal = TerminalSize{.rows = member("rows", 24), .columns = member("columns", 80)};
  }
  start.memory_max = request.integer("memoryMax").value_or(0);
  start.cpu_max = request.number("cpuMax").value_or(0);
  start.pids_max = request.integer("pidsMax").value_or(0);
  if (const auto word = request.text("leftovers"))
    start.leftovers = *word == "keep" ? Leftovers::keep : *word == "kill" ? Leftovers::kill : Leftovers::wait;
  if (request.is_true("syncOutput")) start.sync_output = true;
  start.name = request.text("name");
  const auto if_running = if_running_of(request);
  if (if_running && !start.name) return refused("ifRunning: is for name only");
  start.if_running = if_running.value_or(start.if_running);
  if (const auto signal = request.text("stopSignal")) {
    const auto number = signal_number(*signal);
    if (!number) return refused("stopSignal: expected a signal, such as INT or 2, got '" + *signal + "'");
    start.stop_signal = *number;
  }
  start.restart = restart_of(request);
  if (auto after = read_after(request, start); !after) return failed(after.error());
  const std::int64_t began = now_ms();
  auto task = request.manager().start(start);
  if (!task) return failed(task.error());
  auto reply = reply_of_start(request, *task, began);
  if (reply && reply->contains("existing") && !reply->contains("sameCommand"))
    (*reply)["sameCommand"] =
        task->process.command == (start.shell_line ? *start.shell_line : manager::shell_quoted(start.argv));
  return reply;
}

Reply rerun(Request& request) {
  auto id = request.id();
  if (!id) return failed(id.error());
  const RerunOptions options{.if_running = if_running_of(request),
                             .queue = request.is_true("queue"),
                             .priority = static_cast<int>(request.integer("priority").value_or(0)),
                             .idempotency_key = request.text("idempotencyKey")};
  const std::int64_t began = now_ms();
  auto task = request.manager().rerun(*id, options);
  if (!task) return failed(task.error());
  return reply_of_start(request, *task, began);
}

Reply start_agent(Request& request) {
  AgentOptions options;
  options.start = default_start(request.client.place->config());
  read_task_options(request, options.start);
  if (auto after = read_after(request, options.start); !after) return failed(after.error());
  options.agent = request.text("agent").value_or("");
  options.prompt = request.text("prompt").value_or("");
  options.resume = request.text("resume");
  options.model = request.text("model");
  options.mode = request.text("mode");
  if (const auto word = request.text("permission"))
    options.permission = *word == "allow"  ? PermissionPolicy::allow
                         : *word == "deny" ? PermissionPolicy::deny
                                           : PermissionPolicy::ask;
  options.permission_timeout = request.time("permissionTimeoutMs").value_or(options.permission_timeout);
  options.thoughts = request.is_true("thoughts");
  options.no_deadline = request.integer("timeoutMs") == 0;
  const std::int64_t began = now_ms();
  auto task = request.manager().start(options);
  if (!task) return failed(task.error());
  return reply_of_start(request, *task, began);
}

constexpr Field kTaskOptions[] = {
    {"description", "string", "for people; made from the command if absent"},
    {"cwd", "string", "where it runs; absolute, or relative to the server's folder"},
    {"env", "{string}", "added to the server's environment"},
    {"clearEnv", "boolean", "start from an empty environment"},
    {"timeoutMs", "integer", "its deadline; 0: none (else as configured)"},
    {"graceMs", "integer", "between SIGTERM and SIGKILL (else as configured)"},
    {"outputLimit", "integer", "bytes of output that are kept; 0: all (else as configured)"},
    {"onOutputLimit", "truncate|stop", "what happens over the limit (else as configured)"},
    {"lifetime", "detached|session", "session: session.close stops it"},
    {"owner", "string", "who is notified of its end (else the connection's)"},
    {"toolCallId", "string", "the tool call it belongs to"},
    {"labels", "{string}", "labels of your own"},
    {"onEnd", "string[]", "commands for /bin/sh -c that are run at its end"},
    {"idempotencyKey", "string", "1 to 120 bytes: a second start with it returns the first one's task"},
    {"queue", "boolean", "over the cap: wait for a slot instead of a refusal"},
    {.name = "priority", .type = "integer", .help = "in the queue, the higher the sooner", .least = 0, .most = 999},
    {"after", "string+", "id of a task, or several: start when all have completed; ends as killed if one does not"},
    {"afterAny", "string+", "id of a task, or several: start when all have ended, in whichever way"},
};
constexpr Field kOwnStartParams[] = {
    {"command", "string", "run as `shell -c command`"},
    {"argv", "string[]", "the command and its arguments, instead of command"},
    {"shell", "string", "default: as configured, else /bin/sh"},
    {"idleTimeoutMs", "integer", "without output for so long it times out; 0: never"},
    {"input", "null|pipe", "pipe: what task.write writes (default: null)"},
    {"terminal", "Terminal", "a pseudo-terminal of its own, which is also its input"},
    {"memoryMax", "integer", "bytes, of all its processes together; 0: no limit"},
    {"cpuMax", "number", "processors; 0: no limit"},
    {"pidsMax", "integer", "processes and threads; 0: no limit"},
    {"leftovers", "keep|kill|wait", "what happens to processes that outlive the command (else as configured)"},
    {"syncOutput", "boolean", "the log is on the disk before the record of the end"},
    {"name", "string", "of at most one live task: `[A-Za-z][A-Za-z0-9._-]{0,62}`, no id, no kind"},
    {"ifRunning", "return|refuse|replace", "where a live task has the name (default: return)"},
    {"stopSignal", "string", "what asks it to end, by name or number (default: TERM)"},
    {"restart", "no|on-failure|always",
     "when the command has ended, it is started again by the same task (default: no)"},
    {.name = "restartMax",
     .type = "integer",
     .help = "how often at most; 0: no limit (default: 10 with on-failure, else no limit)",
     .least = 0,
     .most = 1'000'000},
    {.name = "restartDelayMs",
     .type = "integer",
     .help = "before the second attempt; doubled up to 60 s, reset after 10 s of life (default: 1000)",
     .least = 0,
     .most = 86'400'000},
};
constexpr Field kRerunParams[] = {
    {"id", "string", "exact id of a task that ran a command", true},
    {"ifRunning", "return|refuse|replace", "where it, or a task of its name, is live (default: refuse)"},
    {"queue", "boolean", "over the cap: wait for a slot instead of a refusal"},
    {.name = "priority", .type = "integer", .help = "in the queue, the higher the sooner", .least = 0, .most = 999},
    {"idempotencyKey", "string", "1 to 120 bytes: a second call with it returns the first one's task"},
};
constexpr Field kOwnAgentParams[] = {
    {"agent", "string", "which agent: see agent.list"},
    {"prompt", "string", "what it is to do; with `resume` it may be absent"},
    {"resume", "string", "agentId of a conversation that is to go on"},
    {"model", "string", "else as configured"},
    {"mode", "string", "else as configured"},
    {"permission", "allow|deny|ask", "what it hears when it asks (else as configured)"},
    {"permissionTimeoutMs", "integer", "a question that is not answered in time is a no (default: 30 minutes)"},
    {"thoughts", "boolean", "what it thinks is kept in its activity, too"},
};

template <std::size_t A, std::size_t B>
constexpr std::array<Field, A + B> joined(const Field (&first)[A], const Field (&second)[B]) {
  std::array<Field, A + B> all{};
  std::ranges::copy(first, all.begin());
  std::ranges::copy(second, all.begin() + A);
  return all;
}
constexpr auto kStartParams = joined(kOwnStartParams, kTaskOptions);
constexpr auto kAgentParams = joined(kOwnAgentParams, kTaskOptions);

constexpr Field kStarted[] = {
    {"task", "Task", "", true},
    {"existing", "boolean", "the key was known, or a live task has the name: nothing was started"},
    {"sameCommand", "boolean", "with `existing`: that task runs the same command"},
};

constexpr Method kStartMethods[] = {
    {.name = "task.start",
     .help =
         "Starts a task. Returns once its command runs and its record is durable, or once its place in the queue is.",
     .writes = true,
     .repeat = Repeat::with_key,
     .params = kStartParams,
     .result = kStarted,
     .handle = start},
    {.name = "task.rerun",
     .help = "Starts the command of a task once more, as a new task: same folder, limits, name, owner, labels, and "
             "additions "
             "to the environment.",
     .writes = true,
     .repeat = Repeat::with_key,
     .params = kRerunParams,
     .result = kStarted,
     .handle = rerun},
    {.name = "agent.start",
     .help = "Starts a turn of a subagent, as a task whose output is the agent's final message.",
     .writes = true,
     .repeat = Repeat::with_key,
     .params = kAgentParams,
     .result = kStarted,
     .handle = start_agent},
};

}  // namespace

std::span<const Method> start_methods() {
  return kStartMethods;
}

}  // namespace perdure::rpc
