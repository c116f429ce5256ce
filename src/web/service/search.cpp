#include "rpc/methods/methods.h"
#include "web/access/access.h"
#include "web/routes/routes.h"
#include "web/service/service.h"

#include <fmt/format.h>

#include <utility>

// .../search: as one answer, or with `Accept: text/event-stream` hit by hit while the logs are read.
namespace perdure::web {
namespace {

constexpr int kMostSearches = 8;  // at once: each reads logs of any size

// The stream begins with the first event, so that an invalid pattern is still answered with status 400.
class EventWriter final : public jsonrpc::Outlet {
 public:
  explicit EventWriter(http::Exchange& exchange) : exchange_(exchange) {}

  bool send(const json::object& message) override {
    const std::string_view method = message.at("method").as_string();
    json::object params = message.at("params").as_object();
    params.erase("search");
    return tell(method == "task.search.hit" ? "hit" : "progress", params);
  }

  bool tell(std::string_view event, const json::object& data) {
    if (!exchange_.has_begun() && !exchange_.begin_stream(200, safe_headers("text/event-stream"))) return false;
    return exchange_.write(fmt::format("event: {}\ndata: {}\n\n", event, json::serialize(data)));
  }

 private:
  http::Exchange& exchange_;
};

class Counted {
 public:
  explicit Counted(std::atomic<int>& count) : count_(count), number_(++count) {}
  ~Counted() { --count_; }
  Counted(const Counted&) = delete;
  Counted& operator=(const Counted&) = delete;
  [[nodiscard]] bool is_too_many() const { return number_ > kMostSearches; }

 private:
  std::atomic<int>& count_;
  int number_;
};

}  // namespace

void Service::send_search(http::Exchange& exchange, const Found& found, const std::shared_ptr<rpc::Place>& place) {
  const Counted mine(searches_);
  if (mine.is_too_many())
    return respond_problem(exchange, 429,
                           {-32000, fmt::format("{} searches are running: try again later", kMostSearches),
                            json::object{{"code", "usage"}, {"retryable", true}, {"details", json::object()}}},
                           {{"Retry-After", "1"}});
  if (exchange.request().header("Accept").find("text/event-stream") == std::string_view::npos)
    return call(exchange, found, place);
  const rpc::Method& method = *rpc::find_method("task.search");
  auto params = params_of_query(exchange.request().target, method.params);
  if (!params) return respond_problem(exchange, status_of(params.error()), params.error());
  if (!found.id.empty()) (*params)["id"] = found.id;
  (*params)["stream"] = "it";
  if (auto fine = rpc::check(method.params, *params); !fine)
    return respond_problem(exchange, status_of(fine.error()), fine.error());
  EventWriter writer(exchange);
  rpc::Client client(writer);
  client.place = place;
  jsonrpc::Call running;
  rpc::Request asked{.params = *params, .options = options_.rpc, .places = places_, .client = client, .call = running};
  auto reply = method.handle(asked);
  if (!reply && !exchange.has_begun()) return respond_problem(exchange, status_of(reply.error()), reply.error());
  if (reply)
    writer.tell("end", *reply);
  else
    writer.tell("problem", {{"detail", reply.error().message}});
}

}  // namespace perdure::web
