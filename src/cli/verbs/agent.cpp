#include "base/error.h"
#include "cli/console/call.h"
#include "cli/console/input.h"
#include "cli/console/print.h"
#include "cli/start/sweep.h"
#include "cli/start/task_options.h"
#include "cli/verbs/verbs.h"
#include <perdure/agent.h>

#include <fmt/format.h>

#include <array>

namespace perdure::cli {
namespace {

constexpr std::array<std::string_view, 3> kPermissions = {"allow", "deny", "ask"};

constexpr std::array kAgentOwnOptions = std::to_array<Option>({
    {.names = "--agent",
     .value = "NAME",
     .help = "which agent: `perdure agents` lists them",
     .completed_by = "__agents"},
    {"--resume", "AGENT_ID", "go on with this conversation, as a new task; the prompt may be left out"},
    {"--model", "M", "the model it is to use (else as configured)"},
    {"--mode", "M", "the mode it is to work in (else as configured)"},
    {"--permission", "allow|deny|ask", "what it hears when it asks; ask: its owner is asked (else as configured)"},
    {"--permission-timeout", "D", "an unanswered question of permission is a no after that long (default: 30m)"},
    {"--thoughts", nullptr, "keep what it thinks in its activity, too"},
    {"--cwd", "DIR", "where it works; it reads and writes files there only, through us"},
    {"--timeout", "D", "end its turn after that long: 30s, 5m, 2h, 0: never (else as configured)"},
    {"--output-limit", "S", "keep at most so much of its final message, 0: all of it (else as configured)"},
    {"--wait", nullptr, "print the id, then wait and exit with its outcome"},
    {"--on", "NAME", "have it work elsewhere, on an executor of the configuration; see docs/guide/elsewhere.md", false,
     false, "executors --names"},
    {"--cpus", "N", "with --on, in slurm: processors"},
    {"--gpus", "N|TYPE:N", "with --on, in slurm: graphics processors"},
    {"--partition", "P", "with --on, in slurm: where to queue"},
    {"--time-limit", "D", "with --on, in slurm: the job's"},
    {"--executor-option", "WORD", "with --on, in slurm: a further option of sbatch", true},
});
constexpr auto kAgentOptions = with_task_options(kAgentOwnOptions);

// One prompt; "-": from standard input.
Result<std::string> read_prompt(const Call& call) {
  if (call.arguments.empty()) return "";
  if (call.arguments.size() > 1)
    return fail(ErrorCode::usage,
                fmt::format("'{}' is not expected here: put the prompt into quotes", call.arguments[1]));
  if (call.arguments.front() != "-") return call.arguments.front();
  return read_input("-");
}

Result<AgentOptions> read_agent_options(Call& call, const Config& config) {
  AgentOptions options;
  options.start = default_start(config);
  if (auto read = read_task_options(call, options.start); !read) return std::unexpected(read.error());
  if (auto read = read_executor(call, options.start, {}); !read) return std::unexpected(read.error());
  auto prompt = read_prompt(call);
  auto permission = call.word("--permission", kPermissions);
  auto patience = call.duration("--permission-timeout");
  if (!prompt) return std::unexpected(prompt.error());
  if (!permission) return std::unexpected(permission.error());
  if (!patience) return std::unexpected(patience.error());
  options.agent = call.value("--agent").value_or("");
  options.resume = call.value("--resume");
  options.prompt = std::move(*prompt);
  options.model = call.value("--model");
  options.mode = call.value("--mode");
  if (*permission)
    options.permission = **permission == "allow"  ? PermissionPolicy::allow
                         : **permission == "deny" ? PermissionPolicy::deny
                                                  : PermissionPolicy::ask;
  options.permission_timeout = patience->value_or(options.permission_timeout);
  options.thoughts = call.has("--thoughts");
  options.no_deadline = call.has("--timeout") && options.start.timeout.count() == 0;
  return options;
}

Result<int> run_agent(Call& call) {
  auto config = call.config();
  if (!config) return std::unexpected(config.error());
  auto options = read_agent_options(call, **config);
  if (!options) return std::unexpected(options.error());
  auto manager = call.manager();
  if (!manager) return std::unexpected(manager.error());
  auto task = (*manager)->start(*options);
  if (!task) return std::unexpected(task.error());
  note_done(fmt::format("started {}", task->id.str()));
  put_line(call.json ? task_json(*task) : task->id.str());
  if ((*config)->retention_auto.value) sweep_in_background(**manager);
  if (!call.has("--wait")) return 0;
  return wait_for_outcome(**manager, *task, call.json);
}

}  // namespace

const Verb kAgentVerb{"agent", "PROMPT", "have a coding agent do something, as a task; prints its id", kAgentOptions,
                      run_agent};

}  // namespace perdure::cli
