#include "base/clock.h"
#include "base/error.h"
#include "base/utf8.h"
#include "base/words.h"
#include "rpc/methods/methods.h"
#include "view/index.h"

#include <fmt/format.h>

#include <algorithm>
#include <climits>
#include <functional>
#include <map>
#include <sstream>
#include <tuple>

// task.list
namespace perdure::rpc {
namespace {

constexpr std::int64_t kMostRows = 1000, kUsualRows = 100;

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

constexpr Method kListMethods[] = {
    {.name = "task.list",
     .help = "A page of tasks. The cursor stays correct while tasks come and go.",
     .params = kListParams,
     .result = kListResult,
     .handle = list_tasks},
};

}  // namespace

std::span<const Method> list_methods() {
  return kListMethods;
}

}  // namespace perdure::rpc
