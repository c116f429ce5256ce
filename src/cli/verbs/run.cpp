#include "base/error.h"
#include "base/json_writer.h"
#include "base/try.h"
#include "cli/console/call.h"
#include "cli/console/print.h"
#include "cli/console/text.h"
#include "cli/start/conditions.h"
#include "cli/start/foreground.h"
#include "cli/start/sweep.h"
#include "cli/start/task_options.h"
#include "cli/start/terminal.h"
#include "cli/verbs/verbs.h"

#include <fmt/format.h>

#include <array>

namespace perdure::cli {
namespace {

constexpr std::array<std::string_view, 3> kInputs = {"inherit", "null", "pipe"};
constexpr std::array<std::string_view, 2> kRestarts = {"on-failure", "always"};
constexpr std::array<std::string_view, 3> kLeftovers = {"keep", "kill", "wait"};

constexpr std::array kRunOwnOptions = std::to_array<Option>({
    {"-c", "LINE", "run this line with /bin/sh -c, instead of a command behind --"},
    {"--shell", "PATH", "the shell for -c"},
    {"--cwd", "DIR", "run it there"},
    {"--timeout", "D", "end it after that long: 500ms, 30s, 5m, 2h (default: never)"},
    {"--idle-timeout", "D", "end it when it has printed nothing for so long (default: never)"},
    {"--memory-max", "S", "memory of all its processes; see docs/guide/limits.md (default: no limit)"},
    {"--cpu-max", "N", "processors for all its processes, such as 1.5"},
    {"--pids-max", "N", "number of its processes and threads"},
    {"--stdin", "inherit|null|pipe",
     "its input: the caller's, nothing, or what `perdure write` is given (default: inherit with --foreground, else "
     "null)"},
    {"--pty", nullptr, "give it a terminal of its own, which is also its input"},
    {"--output-limit", "S", "keep at most so much output, 0: all of it (else as configured)"},
    {"--leftovers", "keep|kill|wait", "what happens to processes that outlive the command (else as configured)"},
    {"--foreground", nullptr, "show its output and exit with its outcome; ctrl-c stops it, a closed terminal does not"},
    {"--on-timeout", "stop|detach", "with --foreground: what the deadline does (default: stop)"},
    {"--detach-timeout", "D", "with --foreground: the deadline once it is detached, 0: none"},
    {"--detach-keys", "ctrl-X|none", "with --foreground: the key that detaches it (else as configured)"},
    {"--wait", nullptr, "print the id, then wait and exit with its outcome"},
    {"--on", "NAME", "run it elsewhere, on an executor of the configuration (default: PERDURE_ON)", false, false,
     "executors --names"},
    {"--cpus", "N", "with --on, in slurm: processors"},
    {"--gpus", "N|TYPE:N", "with --on, in slurm: graphics processors"},
    {"--partition", "P", "with --on, in slurm: where to queue"},
    {"--time-limit", "D", "with --on, in slurm: the job's; see docs/guide/elsewhere.md"},
    {"--executor-option", "WORD", "with --on, in slurm: a further option of sbatch", true},
    {"--stop-signal", "SIG", "what asks it to end, instead of TERM"},
    {"--restart", "on-failure|always", "start the command again when it has ended, as the same task"},
    {"--restart-max", "N",
     "with --restart: how often at most, 0: no limit (default: 10 with on-failure, else no limit)"},
    {"--restart-delay", "D", "with --restart: before the next attempt; doubled up to 60s (default: 1s)"},
    {"--ready", "COND", "print the id, then wait until it serves tcp:PORT or http://localhost:PORT/PATH"},
    {"--ready-owned", nullptr, "with --ready: an error where another process has the port"},
    {"--match", "REGEX", "print the id, then wait until a line of its output matches"},
    {"--ready-timeout", "D", "give --ready and --match up after that long, with exit status 75; the task runs on"},
});
constexpr auto kRunOptions = with_task_options(kRunOwnOptions);

constexpr std::array<std::string_view, 2> kOnTimeout = {"stop", "detach"};

Result<> what_to_run(const Call& call, StartOptions& start) {
  start.shell_line = call.value("-c");
  start.argv = call.command;
  if (!call.arguments.empty())
    return fail(ErrorCode::usage, fmt::format("'{}' is not expected here: write `perdure run -- {} ...`",
                                              call.arguments.front(), call.arguments.front()));
  if (start.shell_line && call.has_command)
    return fail(ErrorCode::usage, "both -c and a command behind -- were given: choose one");
  if (!start.shell_line && start.argv.empty())
    return fail(ErrorCode::usage,
                "nothing to run: write `perdure run -- COMMAND ARGS...` or `perdure run -c 'SHELL LINE'`");
  if (auto shell = call.value("--shell")) start.shell = *shell;
  return {};
}

Result<> read_limits(const Call& call, StartOptions& start) {
  auto memory = call.size("--memory-max");
  auto pids = call.integer("--pids-max", 0, INT32_MAX);
  if (!memory) return std::unexpected(memory.error());
  if (!pids) return std::unexpected(pids.error());
  start.memory_max = memory->value_or(0);
  start.pids_max = pids->value_or(0);
  TRY(const auto cpu, read_cpu_max(call));
  start.cpu_max = cpu.value_or(start.cpu_max);
  return {};
}

Result<> read_restart(const Call& call, RestartOptions& restart) {
  auto when = call.word("--restart", kRestarts);
  auto most = call.integer("--restart-max", 0, 1'000'000);
  auto delay = call.duration("--restart-delay");
  if (!when) return std::unexpected(when.error());
  if (!most) return std::unexpected(most.error());
  if (!delay) return std::unexpected(delay.error());
  for (const auto* option : {"--restart-max", "--restart-delay"})
    if (!*when && call.has(option)) return fail(ErrorCode::usage, fmt::format("{} is for --restart", option));
  if (*when == "on-failure") restart.when = RestartOptions::When::on_failure;
  if (*when == "always") restart.when = RestartOptions::When::always;
  if (*most) restart.most = static_cast<int>(**most);
  restart.delay = delay->value_or(restart.delay);
  return {};
}

Result<StartOptions> read_run_options(Call& call, const Config& config) {
  StartOptions start = default_start(config);
  if (auto what = what_to_run(call, start); !what) return std::unexpected(what.error());
  if (auto limits = read_limits(call, start); !limits) return std::unexpected(limits.error());
  if (auto read = read_task_options(call, start); !read) return std::unexpected(read.error());
  // PERDURE_ON is not there inside of a task that runs elsewhere, so nothing is passed on twice.
  const std::string on = call.has("--foreground") ? "" : environment("PERDURE_ON").value_or("");
  if (auto read = read_executor(call, start, on); !read) return std::unexpected(read.error());
  if (auto read = read_restart(call, start.restart); !read) return std::unexpected(read.error());
  auto idle = call.duration("--idle-timeout");
  auto input = call.word("--stdin", kInputs);
  auto leftovers = call.word("--leftovers", kLeftovers);
  if (!idle) return std::unexpected(idle.error());
  if (!input) return std::unexpected(input.error());
  if (!leftovers) return std::unexpected(leftovers.error());
  if (const auto text = call.value("--stop-signal")) {
    const auto number = signal_number(*text);
    if (!number)
      return fail(ErrorCode::usage,
                  fmt::format("--stop-signal: expected a signal such as INT or QUIT, got '{}'", *text));
    start.stop_signal = *number;
  }
  start.idle_timeout = idle->value_or(start.idle_timeout);
  if (*input == "inherit" && !call.has("--foreground"))
    return fail(ErrorCode::usage, "--stdin inherit is for --foreground: a background task outlives its caller's input");
  if (*input == "pipe") start.input = Input::pipe;
  if (call.has("--pty")) start.terminal = size_of_terminal().value_or(TerminalSize());
  if (*leftovers)
    start.leftovers = *leftovers == "keep" ? Leftovers::keep : *leftovers == "kill" ? Leftovers::kill : Leftovers::wait;
  return start;
}

Result<> read_foreground(const Call& call, StartOptions& start) {
  auto on_timeout = call.word("--on-timeout", kOnTimeout);
  auto detach_timeout = call.duration("--detach-timeout");
  if (!on_timeout) return std::unexpected(on_timeout.error());
  if (!detach_timeout) return std::unexpected(detach_timeout.error());
  start.on_timeout = *on_timeout == "detach" ? OnTimeout::detach : OnTimeout::stop;
  start.detach_timeout = *detach_timeout;
  if (call.has("--foreground")) {
    if (call.has("--wait")) return fail(ErrorCode::usage, "--foreground waits already: leave --wait out");
    return {};
  }
  for (const auto* option : {"--on-timeout", "--detach-timeout", "--detach-keys"})
    if (call.has(option)) return fail(ErrorCode::usage, fmt::format("{} is for --foreground", option));
  return {};
}

// 0: they are true, 1: the task ended before, 75: the time is over (I10).
Result<int> wait_until_it_is_so(TaskManager& manager, const Task& task, Conditions& conditions,
                                std::optional<std::chrono::milliseconds> timeout, bool json) {
  constexpr int kGaveUp = 75;
  auto met = await_conditions(manager, task.id, conditions, timeout, !task.found.existing);
  if (!met) return std::unexpected(met.error());
  if (json) put_line(JsonObject().add("taskId", task.id.str()).add("ready", *met == Met::yes).str());
  switch (*met) {
    case Met::yes: return 0;
    case Met::interrupted: return kInterrupted;
    case Met::timed_out:
      note(fmt::format("perdure: not ready in time; {} runs on: perdure output {}", task.id.str(), task.id.str()));
      return kGaveUp;
    case Met::ended: break;
  }
  auto now = manager.get(task.id);
  if (now) note(fmt::format("perdure: {}: {}", task.id.str(), outcome_text(*now)));
  return 1;
}

Result<int> run_run(Call& call) {
  auto config = call.config();
  if (!config) return std::unexpected(config.error());
  auto start = read_run_options(call, **config);
  if (!start) return std::unexpected(start.error());
  if (auto read = read_foreground(call, *start); !read) return std::unexpected(read.error());
  auto conditions = read_conditions(call);
  auto ready_timeout = call.duration("--ready-timeout");
  if (!conditions) return std::unexpected(conditions.error());
  if (!ready_timeout) return std::unexpected(ready_timeout.error());
  if (conditions->any() && (call.has("--foreground") || call.has("--wait")))
    return fail(ErrorCode::usage,
                "--ready and --match wait for the beginning of a background task: leave --foreground "
                "and --wait out");
  if (*ready_timeout && !conditions->any()) return fail(ErrorCode::usage, "--ready-timeout is for --ready and --match");
  auto manager = call.manager();
  if (!manager) return std::unexpected(manager.error());
  if (call.has("--foreground"))
    return run_in_foreground(
        **manager, std::move(*start), call.value("--detach-keys").value_or((*config)->detach_keys.value),
        call.value("--stdin").value_or("inherit") == "inherit" ? TypedInput::callers : TypedInput::as_started);
  auto task = (*manager)->start(*start);
  if (!task) return std::unexpected(task.error());
  if (task->found.existing) {
    note(fmt::format("perdure: '{}' runs already: {}{}", *task->name, task->id.str(),
                     task->found.same_command ? "" : ", with another command or in another folder"));
  } else {
    note_done(fmt::format("started {}", task->id.str()));
  }
  put_line(call.json ? task_json(*task) : task->id.str());
  if ((*config)->retention_auto.value) sweep_in_background(**manager);
  if (conditions->any()) return wait_until_it_is_so(**manager, *task, *conditions, *ready_timeout, call.json);
  if (!call.has("--wait")) return 0;
  return wait_for_outcome(**manager, *task, call.json);
}

}  // namespace

const Verb kRunVerb{"run", "-- COMMAND ARGS...", "start a task; prints its id once it runs", kRunOptions, run_run};

}  // namespace perdure::cli
