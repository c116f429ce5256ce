#include "base/clock.h"
#include "base/error.h"
#include "base/utf8.h"
#include "rpc/methods/methods.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>
#include <system_error>

// events.subscribe, events.unsubscribe
namespace perdure::rpc {
namespace {

constexpr std::size_t kMostSubscriptions = 64;

std::string_view name_of_event(EventType type) {
  switch (type) {
    case EventType::started: return "task.started";
    case EventType::updated: return "task.updated";
    case EventType::terminated: return "task.terminated";
  }
  return "";
}

// States: made (attached to the hub, so that no event is missed) -> started (its thread sends past events, then those
// of the feed) -> over. An event in both the past and the feed is sent once; its number identifies it.
class Stream final : public Subscription {
 public:
  Stream(std::string id, Client& client, std::optional<std::int64_t> since, json::object filter, bool rows)
      : id_(std::move(id)),
        place_(client.place),
        outlet_(client.outlet),
        since_(since),
        filter_(std::move(filter)),
        rows_(rows),
        feed_(std::make_shared<Feed>()),
        last_(since.value_or(0)) {}

  ~Stream() override {
    stop();
    if (thread_.joinable()) thread_.join();
  }

  Result<> attach() { return place_->hub().add(feed_); }
  void set_last(std::int64_t seq) { last_ = seq; }

  void start() override {
    {
      const std::lock_guard lock(mutex_);
      started_ = true;
    }
    try {
      thread_ = std::thread([this] { run(); });
    } catch (const std::system_error& error) {
      tell_end("failure", "message", std::string_view(error.what()));
    }
  }
  void stop() override { feed_->close(); }
  [[nodiscard]] bool is_over() const override {
    const std::lock_guard lock(mutex_);
    return over_;
  }
  [[nodiscard]] bool await_end(std::chrono::steady_clock::time_point until) override {
    std::unique_lock lock(mutex_);
    return ended_.wait_until(lock, until, [this] { return over_ || !started_; });
  }

 private:
  void run() {
    if (since_ && !tell_past()) return end();
    while (true) {
      Feed::Item item;
      switch (feed_->next(item)) {
        case Feed::Got::closed: return end();
        case Feed::Got::overflow: return tell_end("overflow", "seq", last_);
        case Feed::Got::failed: return tell_end("failure", "message", to_valid_utf8(feed_->failure()));
        case Feed::Got::item: break;
      }
      if (item.round > past_round_ + 1) past_.clear();
      if (item.event->seq > 0 && past_.contains(item.event->seq)) continue;
      if (!tell(*item.event)) return end();
    }
  }

  void end() {
    const std::lock_guard lock(mutex_);
    over_ = true;
    ended_.notify_all();
  }

  void tell_end(std::string_view what, std::string_view name, json::value_ref value) {
    outlet_.send(jsonrpc::make_notification(what, {{"subscription", id_}, {name, value}}));
    end();
  }

  // False: the connection was closed, or the past can't be read.
  bool tell_past() {
    feed_->note_busy();
    auto events = place_->manager().events().since(*since_);
    // Events before this line are found by the hub's next scan at the latest.
    past_round_ = place_->hub().round();
    auto tasks = *since_ > 0 && events ? place_->manager().list({.ended = true}) : Result<std::vector<Task>>();
    if (!events || !tasks) {
      tell_end("failure", "message", to_valid_utf8(events ? tasks.error().message : events.error().message));
      return false;
    }
    for (const auto& event : *events) {
      feed_->note_busy();
      if (feed_->is_closed() || !tell(event)) return false;
      past_.insert(event.seq);
    }
    const bool has_numberless = std::ranges::any_of(*tasks, [](const Task& task) {
      return task.detached && task.status != Status::queued && !task.started_seq && !task.ended_seq;
    });
    return !has_numberless ||
           outlet_.send(jsonrpc::make_notification("reset", {{"subscription", id_}, {"seq", last_}}));
  }

  bool tell(const Event& event) {
    if (event.seq > 0) last_ = std::max(last_, event.seq);
    if (!matches(filter_, event.task)) return true;
    json::object params{
        {"subscription", id_}, {"seq", event.seq}, {"type", name_of_event(event.type)}, {"time", ms_of(event.time)}};
    if (rows_) {
      params["row"] = row_json(event.task);
    } else {
      params["task"] = task_json(event.task);
    }
    if (event.type == EventType::terminated) params["outputTail"] = to_valid_utf8(event.output_tail);
    return outlet_.send(jsonrpc::make_notification("event", std::move(params)));
  }

  const std::string id_;
  const std::shared_ptr<Place> place_;
  jsonrpc::Outlet& outlet_;
  const std::optional<std::int64_t> since_;
  const json::object filter_;
  const bool rows_;
  const std::shared_ptr<Feed> feed_;
  std::int64_t last_;            // number of the last event
  std::set<std::int64_t> past_;  // events that were sent from the records
  std::uint64_t past_round_ = 0;
  mutable std::mutex mutex_;
  std::condition_variable ended_;
  bool started_ = false, over_ = false;
  std::thread thread_;
};

std::int64_t last_seq(const std::vector<Task>& tasks) {
  std::int64_t last = 0;
  for (const auto& task : tasks) last = std::max({last, task.started_seq.value_or(0), task.ended_seq.value_or(0)});
  return last;
}

Reply subscribe(Request& request) {
  Client& client = request.client;
  std::vector<std::shared_ptr<Subscription>> over;  // joined without the lock
  std::string id;
  {
    const std::lock_guard lock(client.mutex);
    for (auto one = client.subscriptions.begin(); one != client.subscriptions.end();) {
      if (!one->second->is_over()) {
        ++one;
        continue;
      }
      over.push_back(std::move(one->second));
      one = client.subscriptions.erase(one);
    }
    if (client.subscriptions.size() >= kMostSubscriptions)
      return refused(fmt::format("this connection has {} subscriptions: end one first", kMostSubscriptions));
    id = fmt::format("s{}", ++client.last_subscription);
  }
  const auto* const filter = request.find("filter");
  const auto since = request.integer("since");
  auto stream = std::make_shared<Stream>(id, client, since, filter == nullptr ? json::object() : filter->get_object(),
                                         request.is_true("rows"));
  if (auto attached = stream->attach(); !attached) return failed(attached.error());
  std::int64_t seq = since.value_or(0);
  if (!since) {
    auto tasks = request.manager().list({.ended = true});
    if (!tasks) return failed(tasks.error());
    seq = last_seq(*tasks);
    stream->set_last(seq);
  }
  {
    const std::lock_guard lock(client.mutex);
    client.subscriptions[id] = stream;
  }
  // After the answer: the client needs the subscription's id to assign its events.
  request.after_answer = [stream] { stream->start(); };
  return json::object{{"subscription", id}, {"seq", seq}};
}

Reply unsubscribe(Request& request) {
  std::shared_ptr<Subscription> subscription;
  {
    const std::lock_guard lock(request.client.mutex);
    auto node = request.client.subscriptions.extract(request.text("subscription").value_or(""));
    if (!node.empty()) subscription = std::move(node.mapped());
  }
  const bool was_there = subscription != nullptr;
  subscription.reset();  // waits until the event being sent is out
  return json::object{{"ended", was_there}};
}

constexpr Field kSubscribeParams[] = {
    {"since", "integer",
     "all events after this number first, then new ones; 0: all events in the records "
     "(absent: only what happens)"},
    {"filter", "Filter", "only of these tasks"},
    {"rows", "boolean", "rows instead of records"},
};
constexpr Field kSubscribeResult[] = {
    {"subscription", "string", "identifies it in delivered events", true},
    {"seq", "integer", "the last event before", true},
};
constexpr Field kUnsubscribeParams[] = {{"subscription", "string", "", true}};
constexpr Field kUnsubscribeResult[] = {{"ended", "boolean", "false: there was none of that name", true}};

constexpr Method kEventMethods[] = {
    {.name = "events.subscribe",
     .help = "Has `event` notifications sent. A client that connects again subscribes with `since`. Numbers are given "
             "out before a record is visible: go back some seconds, in microseconds, and drop what you have seen.",
     .params = kSubscribeParams,
     .result = kSubscribeResult,
     .handle = subscribe},
    {.name = "events.unsubscribe",
     .help = "Ends a subscription. No event is sent after the answer.",
     .repeat = Repeat::no,
     .params = kUnsubscribeParams,
     .result = kUnsubscribeResult,
     .handle = unsubscribe},
};

}  // namespace

std::span<const Method> event_methods() {
  return kEventMethods;
}

}  // namespace perdure::rpc
