#pragma once

#include "jsonrpc/framing.h"
#include "jsonrpc/peer.h"

#include <functional>
#include <mutex>
#include <string>
#include <thread>

namespace perdure::acp {

namespace json = jsonrpc::json;

/// What an agent asks of us and tells us.
class Handler {
 public:
  virtual ~Handler() = default;
  using Answer = std::expected<json::object, jsonrpc::Fault>;
  /// Called by any of several threads; it may block until `call.stop` is raised.
  virtual Answer on_request(const jsonrpc::Message& request, jsonrpc::Call& call) = 0;
  /// Called by one thread, in the order in which they come.
  virtual void on_notification(const jsonrpc::Message& notification) = 0;
  /// A line of the agent's standard error. Called by one thread.
  virtual void on_error_line(std::string_view line) = 0;
};

/// The Agent Client Protocol with one agent, over its streams. Thread-safe.
class Connection : public jsonrpc::Outlet {
 public:
  /// The descriptors stay the caller's, and open as long as this lives.
  Connection(int input, int output, int errors, Handler& handler);
  /// The agent has been ended before. What it left may hold its streams open: that is not waited for.
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// Blocks until it is answered, the connection is broken or given up. Absent: no answer came.
  [[nodiscard]] std::optional<jsonrpc::Asks::Answer> ask(std::string_view method, json::object params);
  /// The same for at most that long.
  [[nodiscard]] std::optional<jsonrpc::Asks::Answer> ask(std::string_view method, json::object params,
                                                         std::chrono::milliseconds patience);
  /// Never blocks, also where the agent does not read.
  void tell(std::string_view method, json::object params);

  /// Whoever waits in ask() gets no answer any more, and what the agent does not take at once it is not told.
  void give_up();
  /// Requests of the agent that are being worked on are told that nobody waits for them.
  void drop_requests() { calls_.hang_up(); }

  [[nodiscard]] bool is_over() const { return over_.is_raised(); }
  [[nodiscard]] int over_fd() const { return over_.fd(); }
  /// Waits a moment until all that the agent wrote to its standard error was read: one that has ended said there why.
  void hear_out(int patience_ms) const;
  /// What the agent sent that is no message, in words; "" where it kept to the protocol.
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
