#include "base/clock.h"
#include "base/error.h"
#include "base/files.h"
#include "base/process.h"
#include "base/utf8.h"
#include "base/words.h"
#include "rpc/methods/methods.h"

#include <signal.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <climits>
#include <cstring>
#include <sstream>

// task.get, resolve, stop, detach, extend, signal, remove, processes
namespace perdure::rpc {
namespace {

constexpr std::int64_t kPreview = 32768;

json::object summary_json(const OutputSnapshot& output) {
  return {{"outputPath", output.path ? json::value(to_valid_utf8(*output.path)) : json::value(nullptr)},
          {"outputSizeBytes", output.size_bytes},
          {"previewBytes", output.preview_bytes},
          {"truncated", output.truncated},
          {"fullOutputAvailable", output.full_output_available},
          {"droppedBytes", output.dropped_bytes},
          {"missingBytes", output.missing_bytes},
          {"preview", output.preview},
          {"nextOffset", output.next_offset},
          {"eof", output.eof}};
}

Reply get_task(Request& request) {
  auto id = request.id();
  if (!id) return failed(id.error());
  auto task = request.manager().get(*id);
  if (!task) return failed(task.error());
  json::object result{{"task", task_json(*task)}};
  const auto preview = request.integer("previewBytes");
  if (preview == 0) return result;
  auto output = request.manager().output_snapshot(*id, preview.value_or(kPreview));
  if (!output) return failed(output.error());
  result["output"] = summary_json(*output);
  return result;
}

Reply reply_of(const Result<Task>& task) {
  if (!task) return failed(task.error());
  return json::object{{"task", task_json(*task)}};
}

Reply stop(Request& request) {
  auto id = request.id();
  if (!id) return failed(id.error());
  return reply_of(request.manager().stop(
      *id,
      {.reason = request.text("reason").value_or(""), .grace = request.time("graceMs"), .by = request.text("by")}));
}

Reply detach(Request& request) {
  auto id = request.id();
  if (!id) return failed(id.error());
  return reply_of(request.manager().detach(*id, request.time("timeoutMs")));
}

Reply extend(Request& request) {
  auto id = request.id();
  if (!id) return failed(id.error());
  return reply_of(request.manager().extend(*id, *request.time("timeoutMs")));
}

Reply send_signal(Request& request) {
  auto id = request.id();
  if (!id) return failed(id.error());
  const auto word = request.text("signal").value_or("");
  const auto number = signal_number(word);
  if (!number) return refused(fmt::format("signal: expected a name such as HUP, or a number, got '{}'", word));
  if (auto sent = request.manager().signal(*id, *number); !sent) return failed(sent.error());
  return json::object{{"signal", *number}};
}

Reply remove(Request& request) {
  auto id = request.id();
  if (!id) return failed(id.error());
  if (auto removed = request.manager().upkeep().remove(*id); !removed) return failed(removed.error());
  return json::object{};
}

std::optional<json::object> describe_process(pid_t pid) {
  const auto look = look_at_process(pid);
  if (!look || look->is_dead()) return std::nullopt;
  // Behind the name, which may hold anything: fields 3 and up.
  const std::string stat = read_kernel_file(fmt::format("/proc/{}/stat", pid));
  const auto name_end = stat.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  std::stringstream fields(stat.substr(name_end + 1));
  std::vector<std::string> words;
  for (std::string word; fields >> word;) words.push_back(word);
  constexpr std::size_t kUserTime = 11, kSystemTime = 12, kResident = 21;
  if (words.size() <= kResident) return std::nullopt;
  const auto number = [&](std::size_t at) { return parse_integer(words[at], 0, INT64_MAX).value_or(0); };
  const std::int64_t per_second = ::sysconf(_SC_CLK_TCK);
  return json::object{{"pid", pid},
                      {"ppid", look->parent},
                      {"command", to_valid_utf8(command_line_of(pid))},
                      {"state", std::string(1, look->state)},
                      {"startedAt", start_time_ms(look->start_ticks)},
                      {"cpuMs", (number(kUserTime) + number(kSystemTime)) * 1000 / per_second},
                      {"rss", number(kResident) * ::sysconf(_SC_PAGESIZE)}};
}

// All that the runner started, or, of another program's task, all that its command did.
Reply processes(Request& request) {
  auto id = request.id();
  if (!id) return failed(id.error());
  auto task = request.manager().get(*id);
  if (!task) return failed(task.error());
  json::array json;
  if (!is_terminal(task->status) && !task->found.unverified) {
    std::vector<pid_t> open;
    const bool has_runner = task->host.runner && is_alive(*task->host.runner);
    if (has_runner) open = children_of(static_cast<pid_t>(task->host.runner->pid));
    if (!has_runner && !task->host.runner && task->process.pid > 0)
      open.push_back(static_cast<pid_t>(task->process.pid));
    while (!open.empty()) {
      const pid_t pid = open.back();
      open.pop_back();
      if (auto process = describe_process(pid)) json.push_back(std::move(*process));
      std::ranges::copy(children_of(pid), std::back_inserter(open));
    }
  }
  return json::object{{"processes", std::move(json)}};
}

// Does a text that is no whole id mean this task? The last 8 characters of an id are random: at least 3 of them are
// needed, else "bash-" would mean every task.
bool may_mean(std::string_view text, const std::string& id) {
  constexpr std::size_t kRandom = 8, kLeast = 3;
  if (id.size() <= kRandom) return false;
  const std::string_view random = std::string_view(id).substr(id.size() - kRandom);
  if (text == random) return true;
  return id.starts_with(text) && text.size() >= id.size() - kRandom + kLeast;
}

Reply resolve(Request& request) {
  const std::string text = request.text("text").value_or("");
  auto tasks = request.manager().list({.ended = true, .owner = request.text("owner")});
  if (!tasks) return failed(tasks.error());
  std::vector<const Task*> found;
  if (text.starts_with('@')) {
    const auto place = parse_integer(std::string_view(text).substr(1), 1, INT32_MAX);
    if (!place) return refused(fmt::format("expected @N, the N-th newest task, got '{}'", text));
    if (static_cast<std::size_t>(*place) <= tasks->size())
      found.push_back(&(*tasks)[tasks->size() - static_cast<std::size_t>(*place)]);
  } else if (const auto exact = std::ranges::find(*tasks, text, [](const Task& task) { return task.id.str(); });
             exact != tasks->end()) {
    found.push_back(&*exact);
  } else {
    for (const auto& task : *tasks)
      if (may_mean(text, task.id.str())) found.push_back(&task);
  }
  if (found.empty())
    return failed({.code = ErrorCode::task_not_found, .message = fmt::format("no task is meant by '{}'", text)});
  if (found.size() == 1) return json::object{{"id", found.front()->id.str()}};
  json::array candidates;
  for (const Task* const task : found) candidates.push_back(row_json(*task));
  return json::object{{"candidates", std::move(candidates)}};
}

Reply output_path(Request& request) {
  auto id = request.id();
  if (!id) return failed(id.error());
  auto path = request.manager().output_path(*id);
  if (!path) return failed(path.error());
  return json::object{{"path", *path ? json::value(to_valid_utf8(**path)) : json::value(nullptr)}};
}

constexpr Field kTaskId[] = {{"id", "string", "exact id of a task", true}};
constexpr Field kGetParams[] = {
    {"id", "string", "exact id of a task", true},
    {.name = "previewBytes",
     .type = "integer",
     .help = "of the output's end; 0: no output (default 32768)",
     .least = 0,
     .most = 262'144},
};
constexpr Field kGetResult[] = {
    {"task", "Task", "", true},
    {"output", "OutputSummary", "absent with previewBytes 0"},
};
constexpr Field kResolveParams[] = {
    {"text", "string", "an id, its last 8 characters, a prefix of it with 3 of them, or @N: the N-th newest", true},
    {"owner", "string", "only among this owner's tasks"},
};
constexpr Field kResolveResult[] = {
    {"id", "string", "where one task is meant"},
    {"candidates", "Row[]", "where several are"},
};
constexpr Field kTaskResult[] = {{"task", "Task", "", true}};
constexpr Field kPathResult[] = {{"path", "string?", "absolute; null: it printed nothing that was kept", true}};
constexpr Field kStopParams[] = {
    {"id", "string", "exact id of a task", true},
    {"reason", "string", "why; kept in the record"},
    {"graceMs", "integer", "between SIGTERM and SIGKILL (default: the task's own)"},
    {"by", "string", "on behalf of this owner, who then is not notified"},
};
constexpr Field kDetachParams[] = {
    {"id", "string", "exact id of a task", true},
    {"timeoutMs", "integer", "its deadline from now on; 0: none (default: what its start asked for, else it stays)"},
};
constexpr Field kExtendParams[] = {
    {"id", "string", "exact id of a task", true},
    {"timeoutMs", "integer", "how long it may run from now on; 0: without a deadline", true},
};
constexpr Field kSignalParams[] = {
    {"id", "string", "exact id of a task", true},
    {"signal", "string", "a name such as HUP, or a number", true},
};
constexpr Field kSignalResult[] = {{"signal", "integer", "its number", true}};
constexpr Field kProcesses[] = {{"processes", "Process[]", "", true}};

constexpr Method kTaskMethods[] = {
    {.name = "task.get",
     .help = "What is known of one task, and the end of its output.",
     .params = kGetParams,
     .result = kGetResult,
     .handle = get_task},
    {.name = "task.resolve",
     .help = "Which task a person means. For interactive clients: all other methods take exact ids only.",
     .params = kResolveParams,
     .result = kResolveResult,
     .handle = resolve},
    {.name = "task.outputPath",
     .help = "Where its log is.",
     .params = kTaskId,
     .result = kPathResult,
     .handle = output_path},
    {.name = "task.processes",
     .help = "The living processes of a task.",
     .params = kTaskId,
     .result = kProcesses,
     .handle = processes},
    {.name = "task.stop",
     .help =
         "Stops the whole process tree of a task and waits for its end. A task that has ended is returned unchanged.",
     .writes = true,
     .repeat = Repeat::no,
     .params = kStopParams,
     .result = kTaskResult,
     .handle = stop},
    {.name = "task.detach",
     .help = "Makes a foreground task of another program a background task.",
     .writes = true,
     .repeat = Repeat::no,
     .params = kDetachParams,
     .result = kTaskResult,
     .handle = detach},
    {.name = "task.extend",
     .help = "Its deadline counts from now.",
     .writes = true,
     .repeat = Repeat::no,
     .params = kExtendParams,
     .result = kTaskResult,
     .handle = extend},
    {.name = "task.signal",
     .help = "Sends a signal to the command's process group.",
     .writes = true,
     .repeat = Repeat::uncertain,
     .params = kSignalParams,
     .result = kSignalResult,
     .handle = send_signal},
    {.name = "task.remove",
     .help = "Removes a task that has ended, with its output.",
     .writes = true,
     .repeat = Repeat::no,
     .params = kTaskId,
     .handle = remove},
};

}  // namespace

std::optional<int> signal_number(std::string_view text) {
  if (const auto number = parse_integer(text, 1, SIGRTMAX)) return static_cast<int>(*number);
  if (text.starts_with("SIG")) text.remove_prefix(3);
  for (int number = 1; number < NSIG; ++number)
    if (const char* const name = ::sigabbrev_np(number); name != nullptr && name == text) return number;
  return std::nullopt;
}

std::span<const Method> task_methods() {
  return kTaskMethods;
}

}  // namespace perdure::rpc
