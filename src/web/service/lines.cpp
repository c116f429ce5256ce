#include "base/words.h"
#include "view/log.h"
#include "view/safe_text.h"
#include "web/routes/routes.h"
#include "web/service/service.h"

#include <fmt/format.h>

#include <algorithm>

// GET .../lines: a log for the page. Text passes through view::safe_line(), the one implementation for all front ends
// (V24), and is sent as runs with attributes, never as HTML.
namespace perdure::web {
namespace {

constexpr std::int64_t kUsualLines = 100, kMostLines = 500;
constexpr std::int64_t kMostWaitMs = 5'000;  // the request occupies a thread meanwhile

struct Wanted {
  std::optional<std::int64_t> at;  ///< absent: the end
  std::int64_t count = kUsualLines;
  bool back = false;
  std::optional<std::int64_t> seen;  ///< wait until the log is larger
  std::int64_t wait_ms = 0;
};

std::expected<Wanted, rpc::Fault> wanted_of(std::string_view target) {
  Wanted wanted;
  for (const auto& [name, text] : query_of(target)) {
    if (name == "back") {
      wanted.back = text == "true";
      continue;
    }
    const bool is_count = name == "count";
    if (!is_count && name != "at" && name != "seen" && name != "waitMs") continue;
    const auto number = parse_integer(text, is_count ? 1 : 0, is_count ? kMostLines : INT64_MAX);
    if (!number)
      return std::unexpected(rpc::Fault{jsonrpc::kInvalidParams, fmt::format("{}: {}", name, number.error().message)});
    if (is_count) wanted.count = *number;
    if (name == "at") wanted.at = *number;
    if (name == "seen") wanted.seen = *number;
    if (name == "waitMs") wanted.wait_ms = std::min(*number, kMostWaitMs);
  }
  return wanted;
}

json::value colour_json(const view::Colour& colour) {
  if (colour.kind == view::Colour::Kind::indexed) return colour.red;
  return json::value(fmt::format("#{:02x}{:02x}{:02x}", colour.red, colour.green, colour.blue));
}

json::value run_json(const view::Run& run) {
  if (run.style == view::Style{}) return json::value(run.text);
  json::object json{{"t", run.text}};
  if (run.style.attributes != 0) json["a"] = run.style.attributes;
  if (run.style.foreground.kind != view::Colour::Kind::normal) json["f"] = colour_json(run.style.foreground);
  if (run.style.background.kind != view::Colour::Kind::normal) json["b"] = colour_json(run.style.background);
  return json;
}

json::object line_json(const view::TextLine& line) {
  json::object json{{"at", line.offset}, {"next", line.next}};
  if (line.gap) {
    json["gap"] = line.gap->bytes;
    return json;
  }
  json::array runs;
  for (const auto& run : view::safe_line(line.bytes)) runs.push_back(run_json(run));
  json["runs"] = std::move(runs);
  // The last line of a growing log may be incomplete.
  if (line.next - line.offset == static_cast<std::int64_t>(line.bytes.size())) json["open"] = true;
  return json;
}

}  // namespace

void Service::send_lines(http::Exchange& exchange, const Found& found, rpc::Place& place) {
  const auto refuse = [&](const rpc::Fault& fault) { respond_problem(exchange, status_of(fault), fault); };
  const auto wanted = wanted_of(exchange.request().target);
  if (!wanted) return refuse(wanted.error());
  const auto& manager = place.manager();
  auto id = TaskId::parse(found.id);
  if (!id) return refuse(rpc::fault_of(id.error()));
  if (wanted->seen && wanted->wait_ms > 0)
    if (auto more = manager.await_output(*id, *wanted->seen, std::chrono::milliseconds(wanted->wait_ms)); !more)
      return refuse(rpc::fault_of(more.error()));
  // The status is read first: if the task has ended then, all its output is in the log.
  const auto task = manager.get(*id);
  const auto end = task ? manager.read_output(*id, INT64_MAX, 0) : std::unexpected(task.error());
  if (!end) return refuse(rpc::fault_of(end.error()));
  const auto read = view::output_of(manager, *id);
  const auto count = static_cast<std::size_t>(wanted->count);
  std::int64_t at = std::min(wanted->at.value_or(end->size), end->size);
  const bool back = wanted->back || !wanted->at;
  if (!back && at > 0) {
    // Any offset is accepted: the line that contains it is shown from its start.
    auto window = view::window(read, at, 1);
    if (!window) return refuse(rpc::fault_of(window.error()));
    at = window->offset;
  }
  auto lines = back ? view::lines_before(read, at, count) : view::lines_from(read, at, count);
  if (!lines) return refuse(rpc::fault_of(lines.error()));
  json::array told;
  for (const auto& line : *lines) told.push_back(line_json(line));
  const std::int64_t next = lines->empty() ? at : lines->back().next;
  respond_json(exchange, 200,
               json::serialize(json::object{{"lines", std::move(told)},
                                            {"size", end->size},
                                            {"eof", is_terminal(task->status) && next >= end->size},
                                            {"ended", is_terminal(task->status)}}));
}

}  // namespace perdure::web
