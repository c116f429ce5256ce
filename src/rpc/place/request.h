#pragma once

#include "jsonrpc/peer.h"
#include "rpc/place/place.h"
#include "rpc/table/method.h"

#include <atomic>
#include <chrono>
#include <thread>

namespace perdure::rpc {

/// One events.subscribe, from its answer to its end.
class Subscription {
 public:
  virtual ~Subscription() = default;
  virtual void start() = 0;
  virtual void stop() = 0;  ///< returns at once; the destructor waits
  [[nodiscard]] virtual bool is_over() const = 0;
  /// Waits until it is over; false: it was not over at `until`.
  [[nodiscard]] virtual bool await_end(std::chrono::steady_clock::time_point until) = 0;
};

/// One connection. Thread-safe, except for the members that `initialize` sets before any other request is answered.
struct Client {
  explicit Client(jsonrpc::Outlet& to_client) : outlet(to_client) {}

  jsonrpc::Outlet& outlet;
  std::shared_ptr<Place> place;  ///< absent: not initialized
  std::optional<std::string> owner;

  std::mutex mutex;
  std::map<std::string, std::shared_ptr<Subscription>> subscriptions;
  std::int64_t last_subscription = 0;
  std::vector<Notification> claimed;  ///< without a lease
};

/// One request whose parameters were checked.
struct Request {
  const json::object& params;
  const Options& options;
  Places& places;
  Client& client;
  jsonrpc::Call& call;
  std::function<void()> after_answer = {};  ///< called after the answer was sent

  [[nodiscard]] TaskManager& manager() const { return client.place->manager(); }

  [[nodiscard]] const json::value* find(std::string_view name) const;
  [[nodiscard]] std::optional<std::string> text(std::string_view name) const;
  [[nodiscard]] std::optional<std::int64_t> integer(std::string_view name) const;
  [[nodiscard]] std::optional<double> number(std::string_view name) const;
  [[nodiscard]] std::optional<std::chrono::milliseconds> time(std::string_view name) const;
  [[nodiscard]] bool is_true(std::string_view name) const;
  [[nodiscard]] std::vector<std::string> texts(std::string_view name) const;
  [[nodiscard]] std::map<std::string, std::string> map(std::string_view name) const;
  /// The parameter `owner`, or that of the connection.
  [[nodiscard]] std::optional<std::string> owner() const;
  [[nodiscard]] Result<TaskId> id() const;
  [[nodiscard]] Result<std::vector<TaskId>> ids() const;
};

[[nodiscard]] std::vector<std::string> texts_of(const json::value* value);

/// An error of the library as sent to the client: command line, rpc and HTTP use one table of codes.
[[nodiscard]] Fault fault_of(const Error& error);
/// `return failed(result.error());`
[[nodiscard]] inline std::unexpected<Fault> failed(const Error& error) {
  return std::unexpected(fault_of(error));
}
[[nodiscard]] std::unexpected<Fault> refused(std::string message);

[[nodiscard]] json::value parsed(std::string_view text);
[[nodiscard]] json::object task_json(const Task& task);
[[nodiscard]] json::array tasks_json(const std::vector<Task>& tasks);
[[nodiscard]] json::object row_json(const Task& task);

/// Does the task match a Filter?
[[nodiscard]] bool matches(const json::object& filter, const Task& task);

}  // namespace perdure::rpc
