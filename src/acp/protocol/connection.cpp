#include "acp/protocol/connection.h"

#include "acp/protocol/wire.h"
#include "base/clock.h"
#include "base/utf8.h"

#include <poll.h>

#include <fmt/format.h>

namespace perdure::acp {
namespace {

constexpr std::size_t kLongestLine = 64 << 20;
constexpr std::size_t kLongestErrorLine = 4'096;
constexpr std::size_t kQuoted = 200;
constexpr std::size_t kMostRequests = 64;  // at once; more wait
constexpr int kLastWordsMs = 2'000;
constexpr int kLeftoversMs = 200;  // to read the rest of an exited agent's pipes
constexpr std::chrono::hours kForEver{24 * 365};

std::string start_of(std::string_view line) {
  std::string_view start = line.substr(0, kQuoted);
  if (start.size() < line.size()) start.remove_suffix(incomplete_suffix(start));
  return to_plain_text(start, false) + (start.size() < line.size() ? "..." : "");
}

}  // namespace

Connection::Connection(int input, int output, int errors, Handler& handler)
    : handler_(handler),
      writer_(input),
      workers_(kMostRequests),
      tellers_(1),
      messages_([this, output] { read_messages(output); }),
      errors_([this, errors] { read_errors(errors); }) {}

Connection::~Connection() {
  writer_.close_soon();
  hear_out(kLeftoversMs);
  closing_.raise();
  messages_.join();
  errors_.join();
  calls_.hang_up();
  workers_.join();
  tellers_.join();
}

std::optional<jsonrpc::Asks::Answer> Connection::ask(std::string_view method, json::object params) {
  return ask(method, std::move(params), kForEver);
}

std::optional<jsonrpc::Asks::Answer> Connection::ask(std::string_view method, json::object params,
                                                     std::chrono::milliseconds patience) {
  if (over_.is_raised()) return std::nullopt;
  const std::int64_t until = steady_ms() + patience.count();
  auto answer = asks_.ask(*this, method, std::move(params), over_, patience);
  // Peer::ask uses a fault of its own for a request without an answer; agents never send it.
  if (!answer && answer.error().data == json::value(jsonrpc::kNoAnswer)) {
    // It could not be sent: the agent's last messages are about to be read.
    pollfd over{.fd = over_.fd(), .events = POLLIN, .revents = 0};
    if (steady_ms() < until) ::poll(&over, 1, kLastWordsMs);
    return std::nullopt;
  }
  return answer;
}

void Connection::tell(std::string_view method, json::object params) {
  tellers_.run([this, message = jsonrpc::make_notification(method, std::move(params))] { send(message); });
}

void Connection::give_up() {
  over_.raise();
  writer_.close_soon();
}

bool Connection::send(const json::object& message) {
  return writer_.write(json::serialize(message));
}

void Connection::hear_out(int patience_ms) const {
  pollfd over{.fd = errors_over_.fd(), .events = POLLIN, .revents = 0};
  ::poll(&over, 1, patience_ms);
}

std::string Connection::violation() const {
  const std::lock_guard lock(mutex_);
  return violation_;
}

void Connection::read_messages(int output) {
  jsonrpc::LineReader reader(output, kLongestLine, closing_.fd());
  std::string line;
  bool broken = false;
  while (true) {
    const auto got = reader.next(line);
    if (got == jsonrpc::LineReader::Got::end) break;
    // Lines after an invalid one are ignored; they are read so that the agent can end.
    if (broken || (got == jsonrpc::LineReader::Got::line && take(line))) continue;
    broken = true;
    {
      const std::lock_guard lock(mutex_);
      violation_ = got == jsonrpc::LineReader::Got::too_long ? "a line of more than 64 MiB" : start_of(line);
    }
    give_up();
  }
  give_up();
  calls_.hang_up();
}

// False: it is not a valid message.
bool Connection::take(std::string_view line) {
  if (line.find_first_not_of(" \t") == std::string_view::npos) return true;
  auto message = read_line(line);
  if (!message) return false;
  switch (message->kind) {
    case jsonrpc::Message::Kind::response: asks_.settle(std::move(*message)); break;
    case jsonrpc::Message::Kind::request: answer(std::move(*message)); break;
    case jsonrpc::Message::Kind::notification:
      if (message->method == "$/cancel_request") {
        if (const auto* const id = message->params.if_contains("requestId")) calls_.cancel(*id);
      } else {
        handler_.on_notification(*message);
      }
  }
  return true;
}

void Connection::answer(jsonrpc::Message request) {
  auto call = calls_.begin(request.id);
  if (!call) {
    send(jsonrpc::make_fault(request.id,
                             {.code = jsonrpc::kInvalidRequest, .message = "a request with this id is open"}));
    return;
  }
  const json::value id = request.id;
  const bool taken = workers_.run([this, call, request = std::move(request)] {
    auto result = handler_.on_request(request, *call);
    calls_.finish(request.id);
    if (result) {
      send(jsonrpc::make_result(request.id, std::move(*result)));
    } else {
      send(jsonrpc::make_fault(request.id, result.error()));
    }
  });
  if (taken) return;
  calls_.finish(id);
  send(jsonrpc::make_fault(id, {.code = jsonrpc::kBusy, .message = "too many requests are open"}));
}

void Connection::read_errors(int errors) {
  jsonrpc::LineReader reader(errors, kLongestErrorLine, closing_.fd());
  std::string line;
  while (true) {
    const auto got = reader.next(line);
    if (got == jsonrpc::LineReader::Got::end) break;
    handler_.on_error_line(got == jsonrpc::LineReader::Got::line ? std::string_view(line)
                                                                 : "(a line of more than 4 KiB)");
  }
  errors_over_.raise();
}

}  // namespace perdure::acp
