#include "web/service/service.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/utf8.h"
#include "base/words.h"
#include "rpc/methods/methods.h"
#include "trust/sha256.h"
#include "web/access/access.h"
#include "web/metrics/metrics.h"
#include "web/page/page.h"
#include "web/routes/routes.h"

#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace perdure::web {
namespace {

constexpr std::size_t kIdDigits = 12;
constexpr std::int64_t kLongestWaitMs = 20'000;
constexpr std::int64_t kMinuteMs = 60'000;
constexpr std::size_t kMostWrongAMinute = 5;

// Discards notifications: REST answers are complete.
class Nowhere final : public jsonrpc::Outlet {
 public:
  bool send(const json::object&) override { return true; }
};

std::string_view title_of(int status) {
  switch (status) {
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 409: return "Conflict";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 416: return "Range Not Satisfiable";
    case 422: return "Unprocessable Content";
    case 429: return "Too Many Requests";
    case 507: return "Insufficient Storage";
    default: return "Internal Server Error";
  }
}

rpc::Fault plain_fault(std::string_view code, std::string message) {
  return {-32000, std::move(message), json::object{{"code", code}, {"retryable", false}, {"details", json::object()}}};
}

std::string ticket_of(const http::Request& request) {
  for (const auto& [name, text] : query_of(request.target))
    if (name == "ticket") return text;
  return "";
}

bool is_answer_route(const Route& route) {
  return route.path.ends_with("/{id}/question") || route.path.ends_with("/{id}/answer");
}

std::expected<json::object, rpc::Fault> body_of(const http::Request& request) {
  if (request.body.empty()) return json::object();
  auto value = jsonrpc::parse_text(request.body);
  if (!value) return std::unexpected(rpc::Fault{jsonrpc::kInvalidParams, value.error().fault.message});
  auto* const object = value->if_object();
  if (object == nullptr) return std::unexpected(rpc::Fault{jsonrpc::kInvalidParams, "the body is not an object"});
  return std::move(*object);
}

// Methods that wait: each occupies a thread.
void limit_waits(json::object& params) {
  if (auto* const wait = params.if_contains("waitMs"); wait != nullptr && wait->is_int64())
    *wait = std::min(wait->get_int64(), kLongestWaitMs);
}

// Sessions are identified by their ids, here and in the URLs.
void add_session_ids(json::object& result) {
  if (auto* const sessions = result.if_contains("sessions"); sessions != nullptr)
    for (auto& session : sessions->as_array())
      session.as_object()["id"] = session_id(std::string(session.at("path").as_string()));
}

}  // namespace

std::string session_id(const std::string& path) {
  return trust::in_hex(trust::sha256(path)).substr(0, kIdDigits);
}

void respond_json(http::Exchange& exchange, int status, std::string_view body) {
  exchange.respond(status, safe_headers("application/json"), body);
}

http::Refusal problem(int status, const rpc::Fault& fault, http::Headers more) {
  json::object told{{"title", title_of(status)}, {"status", status}, {"detail", fault.message}};
  const auto* const data = fault.data.if_object();
  told["code"] = data != nullptr && data->contains("code") ? data->at("code") : json::value("usage");
  told["retryable"] = data != nullptr && data->contains("retryable") ? data->at("retryable") : json::value(false);
  told["details"] = data != nullptr && data->contains("details") ? data->at("details") : json::value(json::object());
  auto headers = safe_headers("application/problem+json");
  headers.insert(headers.end(), more.begin(), more.end());
  return {.status = status, .headers = std::move(headers), .body = json::serialize(told)};
}

void respond_problem(http::Exchange& exchange, int status, const rpc::Fault& fault, http::Headers more) {
  const auto said = problem(status, fault, std::move(more));
  exchange.respond(said.status, said.headers, said.body);
}

bool Service::is_allowed(const Found& found) const {
  switch (found.route->right) {
    case Right::look: return true;
    case Right::act: return !options_.read_only;
    case Right::start: return !options_.read_only && options_.allow_start;
  }
  return false;
}

Result<std::shared_ptr<rpc::Place>> Service::place_of(std::string_view session) {
  {
    // Where other sessions lie is looked up once for each of them, and not by every request.
    const std::lock_guard lock(mutex_);
    for (const auto& [path, place] : kept_)
      if (session.empty() ? path == options_.rpc.session : session_id(path) == session) return place;
  }
  for (const auto& path : rpc::session_paths(options_.rpc, options_.rpc.session)) {
    if (!session.empty() && session_id(path) != session) continue;
    if (session.empty() && path != options_.rpc.session) continue;
    auto place = places_.open(path);
    if (!place) return place;
    const std::lock_guard lock(mutex_);
    return kept_[path] = std::move(*place);
  }
  return fail(ErrorCode::task_not_found, fmt::format("there is no session {}", session));
}

std::optional<http::Refusal> Service::refuses(const http::Request& header) const {
  constexpr std::int64_t kMostLogin = 4096;
  if (const auto refusal = refusal_of(header, options_.address, options_.origin))
    return problem(refusal->status, plain_fault("forbidden", refusal->why));
  // The page itself contains no data of the user.
  if (header.path() == "/healthz" || page_file(header.path())) return std::nullopt;
  if (header.path() == "/login") {
    // From a client that has not logged in, only a link's token is accepted.
    const auto length = header.has_header("Content-Length")
                            ? parse_integer(header.header("Content-Length"), 0, kMostLogin)
                            : Result<std::int64_t>(0);
    if (!length || header.has_header("Transfer-Encoding"))
      return problem(413, plain_fault("usage", "a login is at most 4 KiB"));
    return std::nullopt;
  }
  if (has_token(header) || (options_.metrics_open && header.path() == "/metrics")) return std::nullopt;
  // An answer link gives access to one question only (V43).
  const auto found = find_route(header.method, header.path());
  if (found.route != nullptr && is_answer_route(*found.route)) {
    if (keys_.is_answer_token(bearer_of(header), found.session, found.id)) return std::nullopt;
    if (!note_wrong_answer_token())
      return problem(429, plain_fault("unauthorized", "too many wrong tokens: wait a minute"), {{"Retry-After", "60"}});
  }
  if (found.route != nullptr && is_download(*found.route) &&
      keys_.is_download_token(ticket_of(header), found.session, found.id))
    return std::nullopt;
  return problem(401, plain_fault("unauthorized", "expected the token of this server"),
                 {{"WWW-Authenticate", "Bearer"}});
}

bool Service::has_token(const http::Request& request) const {
  const auto bearer = bearer_of(request);
  return keys_.is_program_token(bearer) || keys_.is_session_token(bearer);
}

bool Service::note_wrong_answer_token() const {
  const std::lock_guard lock(mutex_);
  const std::int64_t now = now_ms();
  while (!wrong_answer_tokens_.empty() && wrong_answer_tokens_.front() < now - kMinuteMs)
    wrong_answer_tokens_.pop_front();
  if (wrong_answer_tokens_.size() >= kMostWrongAMinute) return false;
  wrong_answer_tokens_.push_back(now);
  return true;
}

void Service::answer(http::Exchange& exchange) {
  const auto& request = exchange.request();
  if (request.path() == "/healthz") {
    exchange.respond(200, safe_headers("text/plain; charset=utf-8"), "ok\n");
    return;
  }
  if (request.path() == "/login") return login(exchange);
  if (const auto file = page_file(request.path()); file && (request.method == "GET" || request.method == "HEAD")) {
    auto headers = safe_headers(file->type);
    headers.emplace_back("Content-Encoding", "gzip");
    exchange.respond(200, headers, file->gzipped);
    return;
  }
  const auto found = find_route(request.method == "HEAD" ? "GET" : request.method, request.path());
  if (found.route == nullptr)
    return respond_problem(exchange, found.other_method ? 405 : 404,
                           plain_fault("usage", found.other_method ? "not with this method" : "there is no such path"));
  if (!is_allowed(found))
    return respond_problem(exchange, 403,
                           plain_fault("forbidden", "this server was started without the right to do that"));
  if (found.route->path == "/api/v1/openapi.json") return respond_json(exchange, 200, openapi_json());
  if (found.route->path == "/api/v1/server") return tell_of_itself(exchange);
  if (found.route->path == "/api/v1/events") return send_events(exchange);
  auto place = place_of(found.session);
  if (!place) {
    const auto fault = rpc::fault_of(place.error());
    return respond_problem(exchange, status_of(fault), fault);
  }
  if (found.route->path.ends_with("/lines")) return send_lines(exchange, found, **place);
  if (found.route->path == "/metrics") return send_metrics(exchange, **place);
  if (is_download(*found.route)) return send_download(exchange, found, **place);
  if (found.route->path.ends_with("/download")) return tell_download_url(exchange, found, **place);
  if (found.route->rpc == "task.search") return send_search(exchange, found, *place);
  if (found.route->rpc.empty()) return send_log(exchange, found, **place);
  if (!has_token(request)) {  // an answer link
    const auto id = TaskId::parse(found.id);
    const auto task = id ? (*place)->manager().get(*id) : std::unexpected(id.error());
    if (!task || is_terminal(task->status))
      return respond_problem(exchange, 401,
                             plain_fault("unauthorized", "the link was used, or its question is no longer open"));
  }
  call(exchange, found, *place);
}

void Service::send_metrics(http::Exchange& exchange, rpc::Place& place) const {
  const bool open = exchange.request().header("Accept").find("application/openmetrics-text") != std::string_view::npos;
  const auto text = metrics_of(place.manager(), session_id(place.manager().session()),
                               open ? MetricsFormat::openmetrics : MetricsFormat::prometheus);
  if (!text) {
    const auto fault = rpc::fault_of(text.error());
    return respond_problem(exchange, status_of(fault), fault);
  }
  exchange.respond(200,
                   safe_headers(open ? "application/openmetrics-text; version=1.0.0; charset=utf-8"
                                     : "text/plain; version=0.0.4; charset=utf-8"),
                   *text);
}

void Service::tell_of_itself(http::Exchange& exchange) const {
  std::array<char, 256> host{};
  if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = 0;
  respond_json(exchange, 200,
               json::serialize(json::object{{"host", to_valid_utf8(host.data())},
                                            {"session", session_id(options_.rpc.session)},
                                            {"act", !options_.read_only},
                                            {"start", !options_.read_only && options_.allow_start}}));
}

void Service::login(http::Exchange& exchange) {
  const auto& request = exchange.request();
  if (request.method != "POST") return respond_problem(exchange, 405, plain_fault("usage", "expected POST"));
  auto body = body_of(request);
  const auto* const token = body ? body->if_contains("token") : nullptr;
  if (token == nullptr || !token->is_string())
    return respond_problem(exchange, 400, plain_fault("usage", "expected {token}"));
  auto spent = keys_.spend(std::string_view(token->get_string()));
  if (!spent) {
    const auto fault = rpc::fault_of(spent.error());
    return respond_problem(exchange, status_of(fault), fault);
  }
  if (!*spent)
    return respond_problem(
        exchange, 401,
        plain_fault("unauthorized", "the link is wrong, too old, or was used: see `perdure web --link`"));
  respond_json(exchange, 200, json::serialize(json::object{{"token", keys_.make_session_token()}}));
}

void Service::call(http::Exchange& exchange, const Found& found, const std::shared_ptr<rpc::Place>& place) {
  const auto& request = exchange.request();
  const rpc::Method* const method = rpc::find_method(found.route->rpc);
  auto params = request.method == "POST" ? body_of(request) : params_of_query(request.target, method->params);
  if (!params) return respond_problem(exchange, status_of(params.error()), params.error());
  if (!found.id.empty()) (*params)["id"] = found.id;
  if (request.has_header("Idempotency-Key") && !params->contains("idempotencyKey"))
    (*params)["idempotencyKey"] = request.header("Idempotency-Key");
  if (method->name == "task.list") params->erase("records");
  if (method->name == "task.search") params->erase("stream");
  limit_waits(*params);
  if (auto fine = rpc::check(method->params, *params); !fine)
    return respond_problem(exchange, status_of(fine.error()), fine.error());
  Nowhere nowhere;
  rpc::Client client(nowhere);
  client.place = place;
  jsonrpc::Call running;
  rpc::Request asked{.params = *params, .options = options_.rpc, .places = places_, .client = client, .call = running};
  auto reply = method->handle(asked);
  if (!reply) return respond_problem(exchange, status_of(reply.error()), reply.error());
  add_session_ids(*reply);
  respond_json(exchange, 200, json::serialize(*reply));
  if (asked.after_answer) asked.after_answer();
}

}  // namespace perdure::web
