#include "mcp/http/http_service.h"

#include "mcp/protocol/http_headers.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <optional>
#include <tuple>

namespace perdure::mcp {
namespace {

constexpr std::string_view kPath = "/mcp";
// Clients and proxies give up on a connection that is silent for some minutes; some after half a minute.
constexpr int kKeepAliveMs = 15'000;
constexpr std::string_view kSinceResumable = "2025-11-25";

const http::Headers kJson = {{"Content-Type", "application/json"}};

void respond_json(http::Exchange& exchange, int status, const json::object& body, http::Headers more = {}) {
  more.insert(more.end(), kJson.begin(), kJson.end());
  exchange.respond(status, more, json::serialize(body));
}

void refuse(http::Exchange& exchange, int status, const Fault& fault, json::value id = nullptr) {
  respond_json(exchange, status, jsonrpc::make_fault(std::move(id), fault));
}

bool begin_events(http::Exchange& exchange, const http::Headers& more = {}) {
  http::Headers headers = {
      {"Content-Type", "text/event-stream"}, {"Cache-Control", "no-cache, no-transform"}, {"X-Accel-Buffering", "no"}};
  headers.insert(headers.end(), more.begin(), more.end());
  return exchange.begin_stream(200, headers);
}

std::string event_text(const EventStream& stream, std::uint64_t place, std::string_view data, bool resumable) {
  return fmt::format("{}event: message\ndata: {}\n\n", resumable ? fmt::format("id: {}\n", stream.event_id(place)) : "",
                     data);
}

bool is_json(std::string_view content_type) {
  return content_type.substr(0, content_type.find(';')) == "application/json";
}

}  // namespace

// A request in progress. The worker and the connection share it: either may be the last to release it.
struct HttpService::Work {
  Work(jsonrpc::Message message, Caller caller, std::shared_ptr<EventStream> events,
       std::shared_ptr<jsonrpc::Call> begun, Conversing conversing = nullptr)
      : call(std::move(begun)),
        conversation(std::move(conversing)),
        stream(std::move(events)),
        request{.method = std::move(message.method),
                .params = std::move(message.params),
                .id = std::move(message.id),
                .caller = std::move(caller),
                .outlet = *stream,
                .call = *call,
                .conversation = conversation == nullptr ? nullptr : &conversation->state} {}

  std::shared_ptr<jsonrpc::Call> call;
  Conversing conversation;
  std::shared_ptr<EventStream> stream;
  Request request;
  std::atomic<int> status = 200;

  [[nodiscard]] bool is_modern() const { return request.caller.era == Era::modern; }
  [[nodiscard]] bool is_resumable() const { return !is_modern() && request.caller.knows(kSinceResumable); }
};

std::optional<http::Refusal> HttpService::refuses(const http::Request& header) const {
  if (auto refusal = guard_.refuses(header)) return refusal;
  if (header.path() != kPath) return http::Refusal{.status = 404, .headers = {}, .body = {}};
  const bool converses = header.has_header("Mcp-Session-Id");
  if (header.method != "POST" && !(converses && (header.method == "GET" || header.method == "DELETE")))
    return http::Refusal{.status = 405, .headers = {{"Allow", "POST"}}, .body = {}};
  // A web page can send text and forms to any server, but JSON only to servers that allow it.
  if (header.method == "POST" && !is_json(header.header("Content-Type")))
    return http::Refusal{.status = 415,
                         .headers = kJson,
                         .body = json::serialize(jsonrpc::make_fault(
                             nullptr, {jsonrpc::kInvalidRequest, "Content-Type must be application/json"}))};
  return std::nullopt;
}

void HttpService::answer(http::Exchange& exchange) {
  const std::string& method = exchange.request().method;
  if (method == "POST") return post(exchange);
  if (method == "GET") return get(exchange);
  drop(exchange);
}

void HttpService::post(http::Exchange& exchange) {
  const auto& http = exchange.request();
  auto value = jsonrpc::parse_text(http.body);
  if (!value) return refuse(exchange, 400, value.error().fault, value.error().id);
  auto message = jsonrpc::read_message(std::move(*value));
  if (!message) return refuse(exchange, 400, message.error().fault, message.error().id);
  if (message->kind == jsonrpc::Message::Kind::request) return post_request(exchange, std::move(*message));
  // A modern client sends no responses, and it cancels by closing: no notification from it has a meaning.
  if (http.has_header("Mcp-Session-Id")) {
    const auto conversation = conversation_of(exchange);
    if (conversation == nullptr) return;
    if (message->kind == jsonrpc::Message::Kind::response) {
      conversation->state.asks.settle(std::move(*message));
    } else if (message->method == "notifications/cancelled") {
      if (const auto* const id = message->params.if_contains("requestId")) conversation->calls.cancel(*id);
    }
  }
  exchange.respond(202, {}, "");
}

void HttpService::post_request(http::Exchange& exchange, jsonrpc::Message message) {
  const auto& http = exchange.request();
  if (Server::is_modern(message) || http.header("MCP-Protocol-Version") >= kModernVersion) {
    const auto mirrored = server_.mirrored_arguments(message);
    auto caller = Server::modern_caller(message);
    // An unknown version is reported only if header and body agree on it; without the header they can't.
    if (caller || caller.error().code == kUnsupportedVersion)
      if (auto wrong = header_fault(http, message, mirrored)) return refuse(exchange, 400, *wrong, message.id);
    if (!caller) return refuse(exchange, modern_status(caller.error()), caller.error(), message.id);
    return run(exchange, std::make_shared<Work>(std::move(message), std::move(*caller),
                                                std::make_shared<EventStream>(0), std::make_shared<jsonrpc::Call>()));
  }
  if (message.method == "initialize" && !http.has_header("Mcp-Session-Id"))
    return begin_conversation(exchange, std::move(message));
  const auto conversation = conversation_of(exchange);
  if (conversation == nullptr) return;
  auto call = conversation->calls.begin(message.id);
  if (call == nullptr)
    return refuse(exchange, 400,
                  {jsonrpc::kInvalidRequest, "Invalid request: a request with this id is being worked on"}, message.id);
  run(exchange, std::make_shared<Work>(std::move(message), conversation->state.caller, conversation->open_stream(),
                                       std::move(call), conversation));
}

void HttpService::begin_conversation(http::Exchange& exchange, jsonrpc::Message message) {
  const auto conversation = conversations_.open();
  for (const auto& surplus : conversations_.take_surplus()) forget(surplus);
  jsonrpc::Call call;
  Request request{.method = std::move(message.method),
                  .params = std::move(message.params),
                  .id = std::move(message.id),
                  .outlet = *conversation->background,
                  .call = call,
                  .conversation = &conversation->state};
  const Reply reply = server_.answer(request);
  if (reply) {
    respond_json(exchange, 200, jsonrpc::make_result(request.id, *reply), {{"Mcp-Session-Id", conversation->id()}});
  } else {
    forget(conversations_.take(conversation->id()));
    refuse(exchange, 200, reply.error(), request.id);
  }
}

HttpService::Conversing HttpService::conversation_of(http::Exchange& exchange) {
  const auto& http = exchange.request();
  const std::string_view version = http.header("MCP-Protocol-Version");
  if (!version.empty() && std::ranges::find(kLegacyVersions, version) == kLegacyVersions.end()) {
    refuse(exchange, 400, {jsonrpc::kInvalidRequest, "Invalid request: MCP-Protocol-Version is not known"});
    return nullptr;
  }
  if (!http.has_header("Mcp-Session-Id")) {
    refuse(exchange, 400,
           {jsonrpc::kInvalidRequest, "Invalid request: it needs Mcp-Session-Id, or _meta with a protocol version"});
    return nullptr;
  }
  auto conversation = conversations_.find(http.header("Mcp-Session-Id"));
  if (conversation == nullptr) refuse(exchange, 404, {jsonrpc::kInvalidRequest, "Session not found: initialize again"});
  return conversation;
}

void HttpService::run(http::Exchange& exchange, const std::shared_ptr<Work>& work) {
  work->request.close_stream = [stream = work->stream] { stream->ask_to_close(); };
  {
    const std::lock_guard lock(mutex_);
    working_.insert(work);
  }
  if (Server::is_quick(work->request.method)) {
    perform(*work);
    const std::lock_guard lock(mutex_);
    working_.erase(work);
  } else if (!workers_.run([this, work] {
               perform(*work);
               const std::lock_guard lock(mutex_);
               working_.erase(work);
             })) {
    {
      const std::lock_guard lock(mutex_);
      working_.erase(work);
    }
    if (work->conversation != nullptr) work->conversation->calls.finish(work->request.id);
    return refuse(exchange, 503, {jsonrpc::kBusy, "too many requests at a time"}, work->request.id);
  }
  stream_answer(exchange, work);
}

void HttpService::perform(Work& work) {
  Reply reply = server_.answer(work.request);
  if (work.conversation != nullptr) work.conversation->calls.finish(work.request.id);
  if (!reply && work.is_modern()) work.status = modern_status(reply.error());
  work.stream->finish(reply ? jsonrpc::make_result(work.request.id, std::move(*reply))
                            : jsonrpc::make_fault(work.request.id, reply.error()),
                      std::move(work.request.after_answer));
}

// Plain JSON if the answer is the only message and comes soon; else a stream of events.
void HttpService::stream_answer(http::Exchange& exchange, const std::shared_ptr<Work>& work) {
  EventStream& stream = *work->stream;
  const bool resumable = work->is_resumable();
  std::uint64_t place = 0;
  const auto begin = [&] {
    if (exchange.has_begun()) return true;
    // The first event has no data: its id lets a client come back even if it receives no other event.
    return begin_events(exchange) &&
           (!resumable || exchange.write(fmt::format("id: {}\nretry: 500\ndata: \n\n", stream.event_id(0))));
  };
  const auto write_new = [&](const EventStream::Events& taken) {
    for (const auto& [at, text] : taken.events) {
      if (!exchange.write(event_text(stream, at, text, resumable))) return false;
      place = at;
    }
    return true;
  };
  while (true) {
    const auto woken = exchange.sleep(stream.fd(), kKeepAliveMs);
    bool alive = woken != http::Exchange::Woken::peer_closed;
    if (woken == http::Exchange::Woken::server_ends) return;
    if (woken == http::Exchange::Woken::time_passed) alive = begin() && exchange.write(": still here\n\n");
    if (woken == http::Exchange::Woken::readable) {
      const auto taken = stream.take(place);
      if (taken.has_last && !exchange.has_begun() && taken.events.size() == 1) {
        alive = exchange.respond(work->status, kJson, taken.events.front().second);
      } else if (!taken.events.empty() || taken.shall_close) {
        alive = begin() && write_new(taken);
      }
      if (alive && taken.has_last) {
        if (work->conversation != nullptr) work->conversation->drop(stream);
        return stream.note_delivered();
      }
      if (taken.shall_close && resumable) return;
    }
    if (alive) continue;
    // Legacy: a lost connection does not cancel; the stream waits until it is resumed.
    if (work->is_modern()) work->call->end(jsonrpc::Call::Ended::cancelled);
    return;
  }
}

void HttpService::get(http::Exchange& exchange) {
  const auto conversation = conversation_of(exchange);
  if (conversation == nullptr) return;
  auto stream = conversation->background;
  std::uint64_t place = stream->seen();
  if (const std::string_view last = exchange.request().header("Last-Event-ID"); !last.empty())
    std::tie(stream, place) = conversation->find(last);
  if (stream == nullptr) return refuse(exchange, 404, {jsonrpc::kInvalidRequest, "These events are not kept any more"});
  const std::uint64_t reader = stream->attach();
  bool alive = begin_events(exchange) && exchange.write(": here\n\n");
  while (alive) {
    const auto taken = stream->take(place);
    for (const auto& [at, text] : taken.events) {
      alive = alive && exchange.write(event_text(*stream, at, text, true));
      if (alive) place = at;
    }
    stream->note_seen(place);
    if (alive && taken.has_last) {
      conversation->drop(*stream);
      return stream->note_delivered();
    }
    const auto woken = alive ? exchange.sleep(stream->fd(), kKeepAliveMs) : http::Exchange::Woken::peer_closed;
    if (woken == http::Exchange::Woken::time_passed) alive = exchange.write(": still here\n\n");
    if (woken == http::Exchange::Woken::peer_closed || woken == http::Exchange::Woken::server_ends) return;
    if (!stream->is_attached(reader)) return stream->wake_reader();
  }
}

void HttpService::drop(http::Exchange& exchange) {
  const auto conversation = conversations_.take(exchange.request().header("Mcp-Session-Id"));
  if (conversation == nullptr) return refuse(exchange, 404, {jsonrpc::kInvalidRequest, "Session not found"});
  forget(conversation);
  exchange.respond(204, {}, "");
}

void HttpService::forget(const Conversing& conversation) {
  conversation->calls.hang_up();
  server_.forget(conversation->state);
}

void HttpService::end() {
  for (const auto& conversation : conversations_.take_all()) forget(conversation);
  {
    const std::lock_guard lock(mutex_);
    for (const auto& work : working_) work->call->end(jsonrpc::Call::Ended::hung_up);
  }
  workers_.join();
}

}  // namespace perdure::mcp
