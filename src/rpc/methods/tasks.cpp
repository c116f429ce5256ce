#include "base/clock.h"
#include "base/error.h"
#include "base/files.h"
#include "base/process.h"
#include "base/utf8.h"
#include "base/words.h"
#include "rpc/methods/methods.h"
#include "view/index.h"

#include <signal.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <climits>
#include <cstring>
#include <sstream>
#include <tuple>

// task.list, get, stop, detach, extend, signal, remove, processes
namespace perdure::rpc {
namespace {

constexpr std::int64_t kMostRows = 1000, kUsualRows = 100;
constexpr std::int64_t kPreview = 32768;

// What a page is sorted by; then by start, then by id, so that every task has one place.
using Place = std::tuple<std::int64_t, std::int64_t, std::string>;

Place place_of(const Task& task, std::string_view sort) {
  const std::int64_t started =
      task.status == Status::queued ? ms_of(task.queue.queued_at).value_or(INT64_MAX) : ms_of(task.started_at);
  std::int64_t key = started;
  if (sort == "ended") key = ms_of(task.ended_at).value_or(INT64_MAX);
  // Of one that runs it grows: the start stands for it, so that a cursor stays true.
  if (sort == "duration") key = task.ended_at ? ms_of(*task.ended_at) - ms_of(task.started_at) : INT64_MAX - started;
  if (sort == "status") key = view::rank_of(task.status);
  return {key, started, task.id.str()};
}

std::string cursor_of(const Place& place, std::string_view sort) {
  return fmt::format("{}:{}:{}:{}", sort, std::get<0>(place), std::get<1>(place), std::get<2>(place));
}

Result<Place> place_of_cursor(const std::string& cursor, std::string_view sort) {
  const auto bad = [&] { return fail(ErrorCode::usage, "after: expected the `next` of a page with the same sort"); };
  std::vector<std::string> parts;
  std::stringstream text(cursor);
  for (std::string part; std::getline(text, part, ':');) parts.push_back(part);
  if (parts.size() != 4 || parts[0] != sort) return bad();
  const auto key = parse_integer(parts[1], INT64_MIN, INT64_MAX);
  const auto started = parse_integer(parts[2], INT64_MIN, INT64_MAX);
  if (!key || !started) return bad();
  return Place{*key, *started, parts[3]};
}

// A number before which every event is in the list. A number is given out some time before its record is visible, so
// that the last one seen may have passed others: of what is younger than this, nothing is certain.
std::int64_t settled_seq(const std::vector<Task>& tasks, std::int64_t now) {
  constexpr std::int64_t kUnsettledUs = 10'000'000;
  const std::int64_t settled = now * 1000 - kUnsettledUs;
  if (tasks.empty()) return settled;
  std::int64_t last = 0;
  for (const auto& task : tasks) last = std::max({last, task.started_seq.value_or(0), task.ended_seq.value_or(0)});
  return std::min(last, settled);
}

json::object kinds_of(const std::vector<Task>& tasks) {
  std::map<std::string, std::int64_t> kinds;
  for (const auto& task : tasks) ++kinds[to_valid_utf8(task.kind_name)];
  json::object json;
  for (const auto& [kind, count] : kinds) json[kind] = count;
  return json;
}

// In a session of that many tasks pages come from an index; for fewer, reading them is cheap enough, and an index takes
// one of the 128 inotify instances of a user.
constexpr std::size_t kMany = 2000;
constexpr std::string_view kIndexCursor = "i:";

// What an index can do; absent: the rest of the filter is for those who read the records.
std::optional<view::Filter> index_filter_of(const Request& request) {
  view::Filter filter;
  const auto* const given = request.find("filter");
  if (given == nullptr) return filter;
  const auto& wanted = given->get_object();
  const auto has = [&](std::string_view name) {
    const auto* const value = wanted.if_contains(name);
    return value != nullptr && !value->is_null();
  };
  // It ignores case where a text has no capital letter, and knows whole labels and the known kinds only.
  if (has("ids") || has("text") || has("label") || has("kind")) return std::nullopt;
  if (has("status")) {
    filter.statuses.emplace();
    for (const auto& name : texts_of(&wanted.at("status")))
      if (const auto status = status_from(name)) filter.statuses->insert(*status);
    if (filter.statuses->empty()) return std::nullopt;
  }
  if (has("owner")) filter.owner = std::string(wanted.at("owner").get_string());
  if (has("since")) filter.since = wanted.at("since").get_int64();
  if (has("until")) filter.until = wanted.at("until").get_int64();
  return filter;
}

json::object row_of_index(const view::Row& row) {
  const bool queued = row.status == Status::queued;
  json::object json{{"id", row.id.str()},
                    {"kind", name_of(row.kind)},
                    {"status", name_of(row.status)},
                    {"description", to_valid_utf8(row.description)},
                    {"startedAt", queued ? json::value(nullptr) : json::value(row.started_at)},
                    {"endedAt", row.ended_at ? json::value(*row.ended_at) : json::value(nullptr)},
                    {"durationMs", queued ? json::value(nullptr) : json::value(row.duration(now_ms()))}};
  if (row.exit_code) json["exitCode"] = *row.exit_code;
  if (row.signal) json["signal"] = *row.signal;
  if (!row.owner.empty()) json["owner"] = to_valid_utf8(row.owner);
  if (!row.agent_id.empty()) json["agentId"] = to_valid_utf8(row.agent_id);
  if (row.output_bytes) json["outputBytes"] = *row.output_bytes;
  if (row.queue_place) json["queuePlace"] = *row.queue_place;
  json::array flags;
  if (row.unverified) flags.emplace_back("unverified");
  if (row.runner_gone) flags.emplace_back("runnerGone");
  if (row.leftovers) flags.emplace_back("leftovers");
  if (row.undelivered) flags.emplace_back("undelivered");
  json["flags"] = std::move(flags);
  return json;
}

Reply list_by_index(Request& request, const view::Filter& filter, std::string_view sort, std::string_view after,
                    std::size_t limit) {
  const auto by = sort == "ended"      ? view::Sort::ended
                  : sort == "duration" ? view::Sort::duration
                  : sort == "status"   ? view::Sort::status
                                       : view::Sort::started;
  // Before the look: whatever happened earlier is found by it.
  const std::int64_t seq = settled_seq({}, now_ms());
  auto page = request.client.place->page(filter, by, std::string(after), limit);
  if (!page) return failed(page.error());
  json::array rows;
  for (const auto& row : page->rows) rows.push_back(row_of_index(row));
  json::object counts, kinds;
  for (const Status status : {Status::queued, Status::running, Status::completed, Status::failed, Status::timed_out,
                              Status::killed, Status::lost})
    counts[name_of(status)] = page->counts.of(status);
  for (const Kind kind : {Kind::process, Kind::agent, Kind::question, Kind::other})
    if (const auto count = page->counts.kind[static_cast<std::size_t>(kind)]; count > 0) kinds[name_of(kind)] = count;
  json::object result{{"counts", std::move(counts)},
                      {"kinds", std::move(kinds)},
                      {"seq", seq},
                      {"total", page->matched},
                      {"rows", std::move(rows)}};
  if (!page->next.empty()) result["next"] = std::string(kIndexCursor) + page->next;
  return result;
}

Reply list_tasks(Request& request) {
  const bool active = request.is_true("active");
  const std::string sort = request.text("sort").value_or("started");
  const bool ascending = request.text("order") == "ascending";
  const bool records = request.is_true("records");
  const auto limit = static_cast<std::size_t>(request.integer("limit").value_or(kUsualRows));
  const auto cursor = request.text("after");
  const bool from_index = cursor ? cursor->starts_with(kIndexCursor) : request.client.place->is_large.load();
  if (from_index && !active && !ascending && !records)
    if (const auto filter = index_filter_of(request))
      return list_by_index(request, *filter, sort, cursor ? std::string_view(*cursor).substr(kIndexCursor.size()) : "",
                           limit);
  std::optional<Place> after;
  if (cursor) {
    auto place = place_of_cursor(*cursor, sort);
    if (!place) return failed(place.error());
    after = std::move(*place);
  }
  auto tasks = request.manager().list({.ended = !active});
  if (!tasks) return failed(tasks.error());
  if (tasks->size() > kMany) request.client.place->is_large = true;
  json::object result{
      {"counts", counts_of(*tasks)}, {"kinds", kinds_of(*tasks)}, {"seq", settled_seq(*tasks, now_ms())}};
  if (const auto* const filter = request.find("filter"))
    std::erase_if(*tasks, [&](const Task& task) { return !matches(filter->get_object(), task); });
  result["total"] = tasks->size();

  std::vector<std::pair<Place, const Task*>> page;
  for (const auto& task : *tasks) {
    auto place = place_of(task, sort);
    if (!after || (ascending ? place > *after : place < *after)) page.emplace_back(std::move(place), &task);
  }
  const std::size_t shown = std::min(limit, page.size());
  const auto middle = page.begin() + static_cast<std::ptrdiff_t>(shown);
  if (ascending) {
    std::ranges::partial_sort(page, middle);
  } else {
    std::ranges::partial_sort(page, middle, std::greater());
  }
  json::array rows;
  for (auto one = page.begin(); one != middle; ++one)
    rows.push_back(records ? task_json(*one->second) : row_json(*one->second));
  if (shown > 0 && middle != page.end()) result["next"] = cursor_of(std::prev(middle)->first, sort);
  result[records ? "tasks" : "rows"] = std::move(rows);
  return result;
}

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

constexpr Field kListParams[] = {
    {"active", "boolean", "only tasks that have not ended; much cheaper in a large session"},
    {"filter", "Filter", "only these"},
    {"sort", "started|ended|duration|status", "default: started"},
    {"order", "ascending|descending", "default: descending, the newest first"},
    {"after", "string", "`next` of the page before, with the same sort and order"},
    {.name = "limit", .type = "integer", .help = "default 100", .least = 1, .most = kMostRows},
    {"records", "boolean", "the tasks' records instead of rows"},
};
constexpr Field kListResult[] = {
    {"rows", "Row[]", "unless records were asked for"},
    {"tasks", "Task[]", "where records were asked for"},
    {"next", "string", "cursor of the next page; absent: this is the last one"},
    {"total", "integer", "tasks that match the filter", true},
    {"counts", "Counts", "of all tasks that were looked at, filtered or not", true},
    {"kinds", "object", "the same by kind", true},
    {"seq", "integer",
     "pass it as `since` when you subscribe: no event is missed; an event may repeat what the list already shows",
     true},
};
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
    {.name = "task.list",
     .help = "A page of tasks. The cursor stays correct while tasks come and go.",
     .params = kListParams,
     .result = kListResult,
     .handle = list_tasks},
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
