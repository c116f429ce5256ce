#include "base/error.h"
#include "base/words.h"
#include "web/routes/routes.h"
#include "web/service/service.h"

#include <fmt/format.h>

#include <algorithm>

// .../download: the whole log as a file. A browser saves what it opens without a header of ours, so the URL itself says
// that it may: for 30 s, and once.
namespace perdure::web {
namespace {

constexpr std::int64_t kPiece = 256 << 10;

http::Headers headers_of_download(const TaskId& id) {
  // An id holds letters, digits and dashes only. Nothing of the content is ever looked at by the browser.
  return {{"Content-Type", "application/octet-stream"},
          {"Content-Disposition", fmt::format("attachment; filename=\"{}.log\"", id.str())},
          {"Content-Security-Policy", "sandbox; default-src 'none'"},
          {"X-Content-Type-Options", "nosniff"},
          {"Referrer-Policy", "no-referrer"},
          {"Cross-Origin-Resource-Policy", "same-origin"},
          {"Cache-Control", "no-store"}};
}

// Where the kept bytes go on, and what stands there instead of the others; absent: it is another error.
std::optional<std::int64_t> place_behind_gap(const Error& error) {
  if (error.code != ErrorCode::output_expired) return std::nullopt;
  const auto found = error.details.find("nextOffset");
  if (found == error.details.end()) return std::nullopt;
  const auto next = parse_integer(found->second, 0, INT64_MAX);
  return next ? std::optional(*next) : std::nullopt;
}

}  // namespace

void Service::tell_download_url(http::Exchange& exchange, const Found& found, rpc::Place& place) const {
  const auto id = TaskId::parse(found.id);
  const auto task = id ? place.manager().get(*id) : std::unexpected(id.error());
  if (!task) {
    const auto fault = rpc::fault_of(task.error());
    return respond_problem(exchange, status_of(fault), fault);
  }
  const auto ticket = keys_.make_download_token(found.session, found.id);
  respond_json(exchange, 200,
               json::serialize(json::object{{"url", fmt::format("/api/v1/sessions/{}/tasks/{}/download?ticket={}",
                                                                found.session, found.id, ticket)}}));
}

void Service::send_download(http::Exchange& exchange, const Found& found, rpc::Place& place) const {
  const auto refuse = [&](const Error& error) {
    const auto fault = rpc::fault_of(error);
    respond_problem(exchange, status_of(fault), fault);
  };
  if (!has_token(exchange.request())) {
    std::string ticket;
    for (const auto& [name, text] : query_of(exchange.request().target))
      if (name == "ticket") ticket = text;
    const auto spent = keys_.spend_download(ticket, found.session, found.id);
    if (!spent) return refuse(spent.error());
    if (!*spent)
      return respond_problem(
          exchange, 401,
          {-32000, "this download was used: ask for a new one",
           json::object{{"code", "unauthorized"}, {"retryable", false}, {"details", json::object()}}});
  }
  const auto& manager = place.manager();
  const auto id = TaskId::parse(found.id);
  if (!id) return refuse(id.error());
  const auto task = manager.get(*id);
  if (!task) return refuse(task.error());
  // As it is now: what a task prints meanwhile is not waited for, and a log that grows has an end.
  const auto end = manager.read_output(*id, INT64_MAX, 0);
  if (!end) return refuse(end.error());
  if (!exchange.begin_stream(200, headers_of_download(*id))) return;
  for (std::int64_t at = 0; at < end->size;) {
    const auto chunk = manager.read_output(*id, at, std::min(kPiece, end->size - at));
    if (chunk && chunk->bytes.empty()) return;
    if (chunk) {
      if (!exchange.write(chunk->bytes)) return;
      at = chunk->next_offset;
      continue;
    }
    const auto next = place_behind_gap(chunk.error());
    if (!next || *next <= at) return;
    if (!exchange.write(fmt::format("\n[perdure: {} bytes dropped here]\n", *next - at))) return;
    at = *next;
  }
}

}  // namespace perdure::web
