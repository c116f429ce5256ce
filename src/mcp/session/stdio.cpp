#include "mcp/session/stdio.h"

#include "jsonrpc/framing.h"

#include <memory>
#include <utility>

namespace perdure::mcp {
namespace {

constexpr std::size_t kLongestLine = 16 << 20;
// The maximum of calls that wait at the same time; more are refused, so that a client that never reads can't use up the
// threads of the machine.
constexpr std::size_t kMostCalls = 256;

class Pipe final : public jsonrpc::Outlet {
 public:
  explicit Pipe(int fd) : writer_(fd) {}
  bool send(const json::object& message) override { return writer_.write(json::serialize(message)); }
  void close_soon() { writer_.close_soon(); }

 private:
  jsonrpc::LineWriter writer_;
};

class Stdio {
 public:
  Stdio(Server& server, int output) : server_(server), pipe_(output), conversation_(pipe_), workers_(kMostCalls) {}

  void take(std::string_view line) {
    auto value = jsonrpc::parse_text(line);
    if (!value) return refuse(value.error());
    if (auto* const batch = value->if_array(); batch != nullptr && may_batch()) {
      for (auto& item : *batch) take(std::move(item));
    } else {
      take(std::move(*value));
    }
  }

  void refuse(const jsonrpc::Unreadable& unreadable) {
    pipe_.send(jsonrpc::make_fault(unreadable.id, unreadable.fault));
  }

  // The client has disconnected: waiting requests are cancelled, its tasks continue.
  void end() {
    calls_.hang_up();
    pipe_.close_soon();
    workers_.join();
    server_.forget(conversation_);
  }

 private:
  // Batches, which only 2025-03-26 had. Each message of one is answered by itself: clients that read lines accept that.
  [[nodiscard]] bool may_batch() const { return conversation_.caller.version == "2025-03-26"; }

  void take(json::value value) {
    auto message = jsonrpc::read_message(std::move(value));
    if (!message) return refuse(message.error());
    switch (message->kind) {
      case jsonrpc::Message::Kind::response: return conversation_.asks.settle(std::move(*message));
      case jsonrpc::Message::Kind::notification: return note(*message);
      case jsonrpc::Message::Kind::request: return start(std::move(*message));
    }
  }

  // Notifications are never answered, not even invalid ones.
  void note(const jsonrpc::Message& message) {
    if (message.method != "notifications/cancelled") return;
    if (const auto* const id = message.params.if_contains("requestId")) calls_.cancel(*id);
  }

  void start(jsonrpc::Message message) {
    const bool modern = Server::is_modern(message);
    auto caller = modern ? Server::modern_caller(message) : std::expected<Caller, Fault>(conversation_.caller);
    if (!caller) return refuse({caller.error(), message.id});
    auto call = calls_.begin(message.id);
    if (call == nullptr)
      return refuse(
          {{jsonrpc::kInvalidRequest, "Invalid request: a request with this id is being worked on"}, message.id});
    auto request = std::make_shared<Request>(Request{.method = std::move(message.method),
                                                     .params = std::move(message.params),
                                                     .id = std::move(message.id),
                                                     .caller = std::move(*caller),
                                                     .outlet = pipe_,
                                                     .call = *call,
                                                     .conversation = modern ? nullptr : &conversation_});
    // Quick requests are answered in this thread: `initialize` must be complete before the next line is read.
    if (Server::is_quick(request->method)) return answer(*request, *call);
    if (!workers_.run([this, request, call] { answer(*request, *call); })) {
      calls_.finish(request->id);
      refuse({{jsonrpc::kBusy, "too many requests at a time: wait for answers first"}, request->id});
    }
  }

  void answer(Request& request, const jsonrpc::Call& call) {
    Reply reply = server_.answer(request);
    calls_.finish(request.id);
    // A cancelled request gets no answer (MCP, "Cancellation").
    if (call.why != jsonrpc::Call::Ended::no) return;
    const bool written = pipe_.send(reply ? jsonrpc::make_result(request.id, std::move(*reply))
                                          : jsonrpc::make_fault(request.id, reply.error()));
    if (written && request.after_answer) request.after_answer();
  }

  Server& server_;
  Pipe pipe_;
  Conversation conversation_;
  jsonrpc::Calls calls_;
  jsonrpc::Workers workers_;
};

}  // namespace

void serve_stdio(Server& server, int input, int output) {
  Stdio stdio(server, output);
  jsonrpc::LineReader reader(input, kLongestLine);
  std::string line;
  while (true) {
    const auto got = reader.next(line);
    if (got == jsonrpc::LineReader::Got::end) break;
    if (got == jsonrpc::LineReader::Got::too_long) {
      stdio.refuse({{jsonrpc::kInvalidRequest, "Invalid request: the line is longer than 16 MiB"}});
    } else if (!line.empty()) {
      stdio.take(line);
    }
  }
  stdio.end();
}

}  // namespace perdure::mcp
