#include "base/words.h"
#include "rpc/methods/methods.h"
#include "web/access/access.h"
#include "web/routes/routes.h"
#include "web/service/service.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <fmt/format.h>

#include <condition_variable>

// GET /events: server-sent events. The method's own stream delivers past and present events; here they are formatted,
// and buffered for a slow client.
namespace perdure::web {
namespace {

constexpr std::size_t kMostPending = 64 << 10;
constexpr int kCommentMs = 15'000;

// Between the thread of a subscription, which waits while too much is pending, and the connection's thread.
class Pending final : public jsonrpc::Outlet {
 public:
  Pending() : wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

  bool send(const json::object& message) override {
    const auto& params = message.at("params").as_object();
    const std::string_view method = message.at("method").as_string();
    const std::int64_t seq = params.contains("seq") ? params.at("seq").as_int64() : 0;
    std::string text;
    if (seq > 0) text += fmt::format("id: {}\n", seq);
    const std::string_view name = method == "event" ? std::string_view(params.at("type").as_string()) : method;
    text += fmt::format("event: {}\ndata: {}\n\n", name, json::serialize(params));
    std::unique_lock lock(mutex_);
    room_.wait(lock, [this] { return closed_ || text_.size() < kMostPending; });
    if (closed_) return false;
    text_ += text;
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t told = ::write(wake_.get(), &one, sizeof one);
    return true;
  }

  [[nodiscard]] int fd() const { return wake_.get(); }

  std::string take() {
    const std::lock_guard lock(mutex_);
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t n = ::read(wake_.get(), &count, sizeof count);
    room_.notify_all();
    return std::exchange(text_, "");
  }

  void close() {
    const std::lock_guard lock(mutex_);
    closed_ = true;
    room_.notify_all();
  }

 private:
  Fd wake_;
  std::mutex mutex_;
  std::condition_variable room_;
  std::string text_;
  bool closed_ = false;
};

}  // namespace

void Service::send_events(http::Exchange& exchange) {
  const auto& http = exchange.request();
  std::string session;
  std::string since(http.header("Last-Event-ID"));
  for (const auto& [name, text] : query_of(http.target)) {
    if (name == "session") session = text;
    if (name == "since" && since.empty()) since = text;
  }
  auto place = place_of(session);
  if (!place) {
    const auto fault = rpc::fault_of(place.error());
    return respond_problem(exchange, status_of(fault), fault);
  }
  json::object params{{"rows", true}};
  if (!since.empty()) {
    const auto number = parse_integer(since, 0, INT64_MAX);
    if (!number) return respond_problem(exchange, 400, {jsonrpc::kInvalidParams, "since: expected an integer"});
    params["since"] = *number;
  }
  Pending pending;
  rpc::Client client(pending);
  client.place = *place;
  jsonrpc::Call running;
  rpc::Request request{.params = params, .options = options_.rpc, .places = places_, .client = client, .call = running};
  auto reply = rpc::find_method("events.subscribe")->handle(request);
  if (!reply) return respond_problem(exchange, status_of(reply.error()), reply.error());
  bool goes_on = exchange.begin_stream(200, safe_headers("text/event-stream"));
  // The start for a client that has no event number yet.
  goes_on = goes_on && exchange.write(fmt::format("id: {}\nevent: begun\ndata: {{}}\n\n", reply->at("seq").as_int64()));
  request.after_answer();
  while (goes_on) {
    switch (exchange.sleep(pending.fd(), kCommentMs)) {
      case http::Exchange::Woken::readable: goes_on = exchange.write(pending.take()); break;
      case http::Exchange::Woken::time_passed: goes_on = exchange.write(": still here\n\n"); break;
      case http::Exchange::Woken::peer_closed:
      case http::Exchange::Woken::server_ends: goes_on = false; break;
    }
  }
  pending.close();
  for (const auto& [id, subscription] : client.subscriptions) subscription->stop();
  client.subscriptions.clear();  // waits for their threads
}

}  // namespace perdure::web
