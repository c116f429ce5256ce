#pragma once

#include "jsonrpc/framing.h"
#include "rpc/place/request.h"

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <string>

namespace perdure::rpc {

/// How long a closing connection waits for requests in progress.
inline constexpr std::chrono::milliseconds kPatience{100};

/// One connection, from its first line to its end. Requests are processed in parallel, each in a thread.
class Connection {
 public:
  Connection(const Options& options, Places& places, int output);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void take(std::string_view line);
  void refuse(const jsonrpc::Unreadable& unreadable);

  /// The client has disconnected: waiting requests are cancelled, its tasks continue. True: no request is in progress;
  /// false: after `patience` one still is, such as a stop during its grace.
  bool end(std::chrono::milliseconds patience);

 private:
  class Pipe final : public jsonrpc::Outlet {
   public:
    explicit Pipe(int fd) : writer_(fd) {}
    bool send(const json::object& message) override { return writer_.write(json::serialize(message)); }
    void close_soon() { writer_.close_soon(); }

   private:
    jsonrpc::LineWriter writer_;
  };

  void note(const jsonrpc::Message& message);
  void start(jsonrpc::Message message);
  /// False: too much is being worked on.
  bool run(const std::string& queue, std::function<void()> job);
  void drain(const std::string& queue);
  void answer(const Method& method, const json::value& id, const json::object& params, jsonrpc::Call& call);

  const Options& options_;
  Places& places_;
  Pipe pipe_;
  Client client_;
  jsonrpc::Calls calls_;
  std::mutex mutex_;
  std::condition_variable idle_;
  std::size_t busy_ = 0;
  std::map<std::string, std::shared_ptr<Subscription>> ended_;  // with the connection
  // What must be worked on in its order, by what it is about; the first of each is being worked on.
  std::map<std::string, std::deque<std::function<void()>>> queues_;
  jsonrpc::Workers workers_;
};

}  // namespace perdure::rpc
