#pragma once

#include "jsonrpc/framing.h"
#include "jsonrpc/peer.h"

#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace perdure::acp {

namespace json = jsonrpc::json;

/// Receives an agent's requests and notifications.
class Handler {
 public:
  virtual ~Handler() = default;
  using Answer = std::expected<json::object, jsonrpc::Fault>;
  /// Called by several threads; may block until `call.stop` is raised.
  virtual Answer on_request(const jsonrpc::Message& request, jsonrpc::Call& call) = 0;
  /// Called by one thread, in the order of arrival.
  virtual void on_notification(const jsonrpc::Message& notification) = 0;
  /// A line of the agent's standard error. Called by one thread.
  virtual void on_error_line(std::string_view line) = 0;
};

/// A connection of the Agent Client Protocol with one agent, over its streams. Thread-safe.
class Connection : public jsonrpc::Outlet {
 public:
  /// The caller owns the descriptors and keeps them open while this object lives.
  Connection(int input, int output, int errors, Handler& handler);
  /// The agent must have exited before. Its remaining processes may hold its streams open: they are not waited for.
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Blocks until the answer comes, the connection breaks or is given up. Absent: no answer came.
  [[nodiscard]] std::optional<jsonrpc::Asks::Answer> ask(std::string_view method, json::object params);
  /// The same with a time limit.
  [[nodiscard]] std::optional<jsonrpc::Asks::Answer> ask(std::string_view method, json::object params,
                                                         std::chrono::milliseconds patience);
  /// Never blocks, even if the agent does not read.
  void tell(std::string_view method, json::object params);

  /// Threads in ask() get no answer any more, and messages that the agent does not read at once are dropped.
  void give_up();
  /// Cancels the agent's requests in progress.
  void drop_requests() { calls_.hang_up(); }

  [[nodiscard]] bool is_over() const { return over_.is_raised(); }
  [[nodiscard]] int over_fd() const { return over_.fd(); }
  /// Waits a moment until the agent's standard error was read: after an exit it often contains the reason.
  void hear_out(int patience_ms) const;
  /// The agent's message that was invalid, as text; "" if all were valid.
  [[nodiscard]] std::string violation() const;

  bool send(const json::object& message) override;

 private:
  void read_messages(int output);
  void read_errors(int errors);
  bool take(std::string_view line);
  void answer(jsonrpc::Message request);

  Handler& handler_;
  jsonrpc::LineWriter writer_;
  jsonrpc::Asks asks_;
  jsonrpc::Calls calls_;
  jsonrpc::Signal over_, errors_over_, closing_;
  mutable std::mutex mutex_;
  std::string violation_;
  jsonrpc::Workers workers_, tellers_;
  std::thread messages_, errors_;
};

}  // namespace perdure::acp
