#include "base/clock.h"
#include "base/words.h"
#include "web/access/access.h"
#include "web/routes/routes.h"
#include "web/service/service.h"

#include <fmt/format.h>

#include <algorithm>

// GET .../log: raw bytes, whole or a range.
namespace perdure::web {
namespace {

constexpr std::int64_t kWindow = 256 << 10;
constexpr std::int64_t kLongestRange = 8 << 20;  // of one response; the client requests the rest

struct Range {
  std::int64_t from = 0, to = INT64_MAX;  ///< both inclusive
};

// "bytes=5-9", "bytes=5-", "bytes=-9". Absent: any other value, which is ignored.
std::optional<Range> range_of(std::string_view text, std::int64_t size) {
  constexpr std::string_view kUnit = "bytes=";
  if (!text.starts_with(kUnit)) return std::nullopt;
  text.remove_prefix(kUnit.size());
  const auto dash = text.find('-');
  if (dash == std::string_view::npos || text.find(',') != std::string_view::npos) return std::nullopt;
  const auto first = parse_integer(text.substr(0, dash), 0, INT64_MAX - 1);
  const auto last = parse_integer(text.substr(dash + 1), 0, INT64_MAX - 1);
  if (dash == 0) return last ? std::optional(Range{std::max<std::int64_t>(0, size - *last), INT64_MAX}) : std::nullopt;
  if (!first) return std::nullopt;
  if (dash + 1 == text.size()) return Range{*first, INT64_MAX};
  return last && *last >= *first ? std::optional(Range{*first, *last}) : std::nullopt;
}

http::Headers log_headers(const Task& task, std::int64_t size) {
  http::Headers headers{
      {"Content-Type", "text/plain; charset=utf-8"},   {"Content-Security-Policy", "sandbox; default-src 'none'"},
      {"X-Content-Type-Options", "nosniff"},           {"Referrer-Policy", "no-referrer"},
      {"Cross-Origin-Resource-Policy", "same-origin"}, {"Accept-Ranges", "bytes"}};
  if (is_terminal(task.status)) {
    headers.emplace_back("ETag", fmt::format("\"{}-{}-{}\"", task.id.str(), ms_of(task.ended_at).value_or(0), size));
    headers.emplace_back("Cache-Control", "private, no-cache");
  } else {
    headers.emplace_back("Cache-Control", "no-store");
  }
  return headers;
}

// From the start to the end, or to the first dropped byte.
void send_whole(http::Exchange& exchange, const TaskManager& manager, const Task& task, http::Headers headers) {
  auto first = manager.read_output(task.id, 0, kWindow);
  if (!first) {
    const auto fault = rpc::fault_of(first.error());
    return respond_problem(exchange, status_of(fault), fault);
  }
  if (!exchange.begin_stream(200, headers)) return;
  for (auto chunk = std::move(first); chunk && !chunk->bytes.empty();
       chunk = manager.read_output(task.id, chunk->next_offset, kWindow))
    if (!exchange.write(chunk->bytes)) return;
}

void send_range(http::Exchange& exchange, const TaskManager& manager, const Task& task, Range range, std::int64_t size,
                http::Headers headers) {
  const std::string whole = is_terminal(task.status) ? fmt::format("{}", size) : "*";
  if (range.from >= size)
    return respond_problem(exchange, 416, {-32000, "the range begins behind the end", nullptr},
                           {{"Content-Range", fmt::format("bytes */{}", size)}});
  std::string bytes;
  const std::int64_t wanted = std::min(range.to - range.from, kLongestRange - 1) + 1;
  while (static_cast<std::int64_t>(bytes.size()) < wanted) {
    const auto have = static_cast<std::int64_t>(bytes.size());
    auto chunk = manager.read_output(task.id, range.from + have, std::min(kWindow, wanted - have));
    if (!chunk && bytes.empty()) {
      const auto fault = rpc::fault_of(chunk.error());
      return respond_problem(exchange, status_of(fault), fault);
    }
    if (!chunk || chunk->bytes.empty()) break;
    bytes += chunk->bytes;
  }
  headers.emplace_back("Content-Range", fmt::format("bytes {}-{}/{}", range.from,
                                                    range.from + static_cast<std::int64_t>(bytes.size()) - 1, whole));
  exchange.respond(206, headers, bytes);
}

}  // namespace

void Service::send_log(http::Exchange& exchange, const Found& found, rpc::Place& place) {
  const auto& manager = place.manager();
  auto id = TaskId::parse(found.id);
  auto task = id ? manager.get(*id) : std::unexpected(id.error());
  auto end = task ? manager.read_output(*id, INT64_MAX, 0) : std::unexpected(task.error());
  if (!end) {
    const auto fault = rpc::fault_of(end.error());
    return respond_problem(exchange, status_of(fault), fault);
  }
  auto headers = log_headers(*task, end->size);
  const auto& request = exchange.request();
  if (is_terminal(task->status) && request.header("If-None-Match") == headers[6].second) {
    exchange.respond(304, headers, "");
    return;
  }
  if (const auto range = range_of(request.header("Range"), end->size))
    return send_range(exchange, manager, *task, *range, end->size, std::move(headers));
  send_whole(exchange, manager, *task, std::move(headers));
}

}  // namespace perdure::web
