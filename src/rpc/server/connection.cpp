#include "rpc/server/connection.h"

#include "rpc/methods/methods.h"

#include <fmt/format.h>

#include <utility>

namespace perdure::rpc {
namespace {

// The maximum of calls that wait at the same time; more are refused, so that a client that never reads can't use up the
// threads of the machine.
// threads of the machine.
constexpr std::size_t kMostCalls = 256;
constexpr int kNotInitialized = -32002, kCancelled = -32800, kBusy = -32001;

}  // namespace

Connection::Connection(const Options& options, Places& places, int output)
    : options_(options), places_(places), pipe_(output), client_(pipe_), workers_(kMostCalls) {}

Connection::~Connection() {
  workers_.join();
  // These threads write to the pipe.
  client_.subscriptions.clear();
  ended_.clear();
}

void Connection::refuse(const jsonrpc::Unreadable& unreadable) {
  pipe_.send(jsonrpc::make_fault(unreadable.id, unreadable.fault));
}

void Connection::take(std::string_view line) {
  auto value = jsonrpc::parse_text(line);
  if (!value) return refuse(value.error());
  auto message = jsonrpc::read_message(std::move(*value));
  if (!message) return refuse(message.error());
  switch (message->kind) {
    case jsonrpc::Message::Kind::response: return;  // the server sends no requests
    case jsonrpc::Message::Kind::notification: return note(*message);
    case jsonrpc::Message::Kind::request: return start(std::move(*message));
  }
}

// Notifications are never answered, not even invalid ones.
void Connection::note(const jsonrpc::Message& message) {
  if (message.method != "$/cancelRequest") return;
  if (const auto* const id = message.params.if_contains("id")) calls_.cancel(*id);
}

void Connection::start(jsonrpc::Message message) {
  const Method* const method = find_method(message.method);
  if (client_.place == nullptr && message.method != "initialize")
    return refuse({{kNotInitialized, "not initialized: call `initialize` first"}, message.id});
  if (method == nullptr)
    return refuse({{jsonrpc::kMethodNotFound, fmt::format("Method not found: {}", message.method)}, message.id});
  if (auto fine = check(method->params, message.params); !fine) return refuse({fine.error(), message.id});
  auto call = calls_.begin(message.id);
  if (call == nullptr)
    return refuse(
        {{jsonrpc::kInvalidRequest, "Invalid request: a request with this id is being worked on"}, message.id});
  // Processed before the next line is read.
  if (message.method == "initialize") return answer(*method, message.id, message.params, *call);
  auto request = std::make_shared<jsonrpc::Message>(std::move(message));
  {
    const std::lock_guard lock(mutex_);
    ++busy_;
  }
  std::string queue;
  if (!method->in_order_of.empty())
    if (const auto* const about = request->params.if_contains(method->in_order_of); about != nullptr)
      queue = about->as_string();
  const bool taken = run(queue, [this, method, request, call] {
    answer(*method, request->id, request->params, *call);
    const std::lock_guard lock(mutex_);
    if (--busy_ == 0) idle_.notify_all();
  });
  if (taken) return;
  {
    const std::lock_guard lock(mutex_);
    --busy_;
  }
  calls_.finish(request->id);
  refuse({{kBusy, "too many requests at a time: wait for answers first"}, request->id});
}

// A client that does not wait for answers has its keys typed in the order in which it sent them.
bool Connection::run(const std::string& queue, std::function<void()> job) {
  if (queue.empty()) return workers_.run(std::move(job));
  {
    const std::lock_guard lock(mutex_);
    auto& waiting = queues_[queue];
    if (waiting.size() >= kMostCalls) return false;
    waiting.push_back(std::move(job));
    if (waiting.size() > 1) return true;
  }
  if (workers_.run([this, queue] { drain(queue); })) return true;
  // This is the thread that adds, so the job is still alone.
  const std::lock_guard lock(mutex_);
  queues_.erase(queue);
  return false;
}

void Connection::drain(const std::string& queue) {
  while (true) {
    std::function<void()> job;
    {
      const std::lock_guard lock(mutex_);
      const auto waiting = queues_.find(queue);
      if (waiting == queues_.end()) return;
      job = waiting->second.front();
    }
    job();
    const std::lock_guard lock(mutex_);
    const auto waiting = queues_.find(queue);
    waiting->second.pop_front();
    if (waiting->second.empty()) {
      queues_.erase(waiting);
      return;
    }
  }
}

void Connection::answer(const Method& method, const json::value& id, const json::object& params, jsonrpc::Call& call) {
  Request request{.params = params, .options = options_, .places = places_, .client = client_, .call = call};
  Reply reply = method.handle(request);
  calls_.finish(id);
  if (call.why == jsonrpc::Call::Ended::hung_up) return;
  // A completed action is answered even if the client cancelled it; a wait is not.
  if (call.why == jsonrpc::Call::Ended::cancelled &&
      (!reply || !method.writes || method.name == "task.wait" || method.name == "notifications.await")) {
    pipe_.send(jsonrpc::make_fault(id, {kCancelled, "cancelled"}));
    return;
  }
  const bool written =
      pipe_.send(reply ? jsonrpc::make_result(id, std::move(*reply)) : jsonrpc::make_fault(id, reply.error()));
  if (written && request.after_answer) request.after_answer();
}

bool Connection::end(std::chrono::milliseconds patience) {
  const auto until = std::chrono::steady_clock::now() + patience;
  calls_.hang_up();
  pipe_.close_soon();
  std::vector<Notification> claimed;
  {
    const std::lock_guard lock(client_.mutex);
    ended_.swap(client_.subscriptions);
    claimed.swap(client_.claimed);
  }
  for (const auto& [id, subscription] : ended_) subscription->stop();
  bool done = true;
  for (const auto& [id, subscription] : ended_) done &= subscription->await_end(until);
  {
    std::unique_lock lock(mutex_);
    done &= idle_.wait_until(lock, until, [this] { return busy_ == 0; });
  }
  if (client_.place != nullptr && !claimed.empty()) client_.place->manager().notifications().release(claimed);
  return done;
}

}  // namespace perdure::rpc
