#include "view/search.h"

#include "base/error.h"
#include "rpc/methods/methods.h"

#include <algorithm>

// task.search, task.firstFailure
namespace perdure::rpc {
namespace {

constexpr std::int64_t kUsualHits = 100, kMostHits = 10'000;

json::object hit_json(const TaskId& id, const view::Hit& hit) {
  json::object json{{"id", id.str()}, {"offset", hit.offset}, {"length", hit.length}, {"text", hit.text}};
  if (hit.line) json["line"] = *hit.line;
  return json;
}

// The tasks whose logs are searched, newest first.
Result<std::vector<TaskId>> tasks_to_search(const Request& request) {
  if (request.find("id") != nullptr) {
    auto id = request.id();
    if (!id) return std::unexpected(id.error());
    return std::vector{std::move(*id)};
  }
  auto tasks = request.manager().list({.ended = true});
  if (!tasks) return std::unexpected(tasks.error());
  const auto* const filter = request.find("filter");
  std::vector<TaskId> ids;
  for (const auto& task : *tasks)
    if (filter == nullptr || matches(filter->get_object(), task)) ids.push_back(task.id);
  std::ranges::reverse(ids);
  return ids;
}

Result<view::Pattern> pattern_of(const Request& request) {
  const auto word = request.text("case");
  const auto which = word == "exact"    ? view::Pattern::Case::exact
                     : word == "ignore" ? view::Pattern::Case::ignore
                                        : view::Pattern::Case::smart;
  return view::Pattern::compile(
      request.text("pattern").value_or(""),
      request.text("mode") == "regex" ? view::Pattern::Mode::regex : view::Pattern::Mode::text, which);
}

bool tell_progress(const Request& request, const std::string& stream, const TaskId& id, std::int64_t bytes) {
  return request.client.outlet.send(jsonrpc::make_notification(
      "task.search.progress", json::object{{"search", stream}, {"id", id.str()}, {"bytes", bytes}}));
}

Reply search(Request& request) {
  auto pattern = pattern_of(request);
  if (!pattern) return failed(pattern.error());
  auto ids = tasks_to_search(request);
  if (!ids) return failed(ids.error());
  const auto wanted = static_cast<std::size_t>(request.integer("limit").value_or(kUsualHits));
  const auto stream = request.text("stream");
  const bool backward = request.text("direction") == "backward";
  std::stop_source stop;
  const auto stop_if_cancelled = [&] {
    if (request.call.stop.is_raised()) stop.request_stop();
  };
  json::array hits;
  std::size_t told = 0;
  std::int64_t total = 0, tasks_with_hits = 0;
  for (const auto& id : *ids) {
    stop_if_cancelled();
    if (stop.stop_requested()) break;
    const view::SearchOptions options{.from = request.integer("from").value_or(backward ? INT64_MAX : 0),
                                      .backward = backward,
                                      .limit = wanted - told,
                                      .stop = stop.get_token(),
                                      .progress = [&](std::int64_t bytes) {
                                        stop_if_cancelled();
                                        if (stream && !tell_progress(request, *stream, id, bytes)) stop.request_stop();
                                      }};
    auto end = view::search(view::output_of(request.manager(), id), *pattern, options, [&](const view::Hit& hit) {
      stop_if_cancelled();
      ++told;
      auto json = hit_json(id, hit);
      if (stream) {
        json["search"] = *stream;
        if (!request.client.outlet.send(jsonrpc::make_notification("task.search.hit", std::move(json))))
          stop.request_stop();
      } else {
        hits.push_back(std::move(json));
      }
    });
    // A task that was removed meanwhile must not keep matches in others from being reported.
    if (!end && ids->size() == 1) return failed(end.error());
    if (!end) continue;
    total += end->total;
    tasks_with_hits += end->total > 0 ? 1 : 0;
  }
  json::object result{{"total", total}, {"tasks", tasks_with_hits}};
  if (!stream) result["hits"] = std::move(hits);
  return result;
}

Reply first_failure(Request& request) {
  auto id = request.id();
  if (!id) return failed(id.error());
  auto place = view::first_failure(view::output_of(request.manager(), *id));
  if (!place) return failed(place.error());
  return json::object{{"offset", place->offset}, {"found", place->found}};
}

constexpr Field kSearchParams[] = {
    {"pattern", "string", "a match never reaches across a line end", true},
    {"id", "string", "in the log of this task (else of all that match the filter, the newest first)"},
    {"filter", "Filter", "in the logs of these tasks"},
    {"mode", "text|regex", "regex: RE2 (default: text)"},
    {"case", "exact|ignore|smart", "smart: ignored unless the pattern has a capital letter (default)"},
    {"from", "integer", "offset: hits from there on, or backward before it"},
    {"direction", "forward|backward", "backward: the nearest first (default: forward)"},
    {.name = "limit",
     .type = "integer",
     .help = "how many hits are returned; all are counted (default 100)",
     .least = 0,
     .most = kMostHits},
    {"stream", "string",
     "a name of yours: hits come as task.search.hit notifications with it, instead of in the result, and each 64 MiB "
     "task.search.progress"},
};
constexpr Field kSearchResult[] = {
    {"total", "integer", "matches, also those that are not returned", true},
    {"tasks", "integer", "tasks with at least one", true},
    {"hits", "Hit[]", "unless they were streamed"},
};
constexpr Field kSearchedId[] = {{"id", "string", "exact id of a task", true}};
constexpr Field kFailure[] = {
    {"offset", "integer", "where to look first", true},
    {"found", "boolean", "false: nothing looks like a failure, and it is the end", true},
};

constexpr Method kSearchMethods[] = {
    {.name = "task.search",
     .help = "Looks for a text or a regular expression in logs, in time that is linear in their size.",
     .params = kSearchParams,
     .result = kSearchResult,
     .handle = search},
    {.name = "task.firstFailure",
     .help = "A place in the log to jump to: the last line that looks like a failure. Never a verdict.",
     .params = kSearchedId,
     .result = kFailure,
     .handle = first_failure},
};

}  // namespace

std::span<const Method> search_methods() {
  return kSearchMethods;
}

}  // namespace perdure::rpc
