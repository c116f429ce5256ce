#include "rpc/methods/methods.h"

// task.edit
namespace perdure::rpc {
namespace {

Reply edit(Request& request) {
  auto id = request.id();
  if (!id) return failed(id.error());
  EditOptions options;
  options.argv = request.texts("argv");
  options.shell_line = request.text("command");
  if (auto shell = request.text("shell")) options.shell = std::move(*shell);
  options.description = request.text("description");
  options.timeout = request.time("timeoutMs");
  options.idle_timeout = request.time("idleTimeoutMs");
  options.grace = request.time("graceMs");
  options.output_limit = request.integer("outputLimit");
  options.memory_max = request.integer("memoryMax");
  options.pids_max = request.integer("pidsMax");
  options.cpu_max = request.number("cpuMax");
  if (const auto priority = request.integer("priority")) options.priority = static_cast<int>(*priority);
  options.first = request.is_true("first");
  if (const auto before = request.text("before")) {
    auto other = TaskId::parse(*before);
    if (!other) return failed(other.error());
    options.before = std::move(*other);
  }
  auto task = request.manager().edit(*id, options);
  if (!task) return failed(task.error());
  return json::object{{"task", task_json(*task)}};
}

constexpr Field kEditParams[] = {
    {"id", "string", "exact id of a task that waits in the queue", true},
    {"command", "string", "run this instead, as `shell -c command`"},
    {"argv", "string[]", "run this instead, without a shell"},
    {"shell", "string", "with command (default: /bin/sh)"},
    {"description", "string", "for people"},
    {.name = "priority",
     .type = "integer",
     .help = "behind all that have it already; the higher the sooner",
     .least = 0,
     .most = 999},
    {"before", "string", "id of a task that waits for a slot: right before that one"},
    {"first", "boolean", "before all others that wait for a slot"},
    {"timeoutMs", "integer", "its deadline; 0: none"},
    {"idleTimeoutMs", "integer", "without output for so long it times out; 0: never"},
    {"graceMs", "integer", "between SIGTERM and SIGKILL"},
    {"outputLimit", "integer", "bytes of output that are kept; 0: all"},
    {"memoryMax", "integer", "bytes, of all its processes together; 0: no limit"},
    {"cpuMax", "number", "processors; 0: no limit"},
    {"pidsMax", "integer", "processes and threads; 0: no limit"},
};
constexpr Field kEdited[] = {{"task", "Task", "as it waits now", true}};

constexpr Method kEditMethods[] = {
    {.name = "task.edit",
     .help = "Changes a task that waits in the queue, before it starts. What is absent stays.",
     .writes = true,
     .repeat = Repeat::no,
     .params = kEditParams,
     .result = kEdited,
     .handle = edit},
};

}  // namespace

std::span<const Method> edit_methods() {
  return kEditMethods;
}

}  // namespace perdure::rpc
