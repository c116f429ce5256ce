#pragma once

#include "mcp/protocol/http_headers.h"
#include "mcp/service/tool.h"
#include "mcp/service/watch.h"

#include <memory>
#include <mutex>
#include <set>

namespace perdure::mcp {

/// The state of a legacy conversation. Thread-safe, except for `caller`, which `initialize` sets before any other
/// request is answered.
struct Conversation {
  explicit Conversation(jsonrpc::Outlet& to_client) : outlet(to_client) {}

  Caller caller;
  bool is_initialized = false;
  jsonrpc::Outlet& outlet;  ///< for messages that belong to no request
  jsonrpc::Asks asks;

  std::mutex mutex;
  std::map<std::string, Watch::Ticket> subscriptions;  ///< by URI
  std::vector<Watch::Ticket> tasks;                    ///< whose status is reported
  std::string log_level;
};

/// Answers requests besides those for Perdure's own tools. Requests that it does not know go to the latter.
class Extras {
 public:
  virtual ~Extras() = default;
  virtual void add_capabilities(json::object& capabilities, const Caller& caller) const = 0;
  virtual std::optional<Reply> answer(Service& service, Request& request) = 0;
  /// Appends to the result of tools/list, resources/list or resources/templates/list.
  virtual void extend(std::string_view method, json::object& result, const Caller& caller) const = 0;
  /// Arguments of a tool that must be repeated in headers.
  [[nodiscard]] virtual std::vector<MirroredArgument> mirrored_arguments(std::string_view tool) const = 0;
};

/// Every method of MCP, in both eras, over one service. Independent of the transport. Thread-safe.
class Server {
 public:
  Server(Service& service, Extras* extras) : service_(service), extras_(extras), watch_(service) {}

  /// The era of a message, and its caller. Fault: it is modern and its _meta is invalid.
  [[nodiscard]] static bool is_modern(const jsonrpc::Message& message);
  [[nodiscard]] static std::expected<Caller, Fault> modern_caller(const jsonrpc::Message& message);

  /// The complete result as it is sent. Blocks as long as the request takes.
  [[nodiscard]] Reply answer(Request& request);

  /// Does this request return at once? Then the reading thread may answer it.
  [[nodiscard]] static bool is_quick(const std::string& method);

  void forget(Conversation& conversation);

  [[nodiscard]] std::vector<MirroredArgument> mirrored_arguments(const jsonrpc::Message& message) const;

 private:
  Reply answer_modern(Request& request);
  Reply answer_legacy(Request& request);
  std::optional<Reply> answer_common(Request& request);
  [[nodiscard]] Reply discover(const Request& request) const;
  Reply initialize(Request& request) const;
  [[nodiscard]] Reply list_tools(const Request& request) const;
  Reply call_tool(Request& request);
  json::object answer_with_task(Request& request, TaskStarted started);
  Reply listen(Request& request);
  Reply subscribe(Request& request);
  Reply unsubscribe(Request& request);
  [[nodiscard]] json::object capabilities(const Caller& caller) const;

  Service& service_;
  Extras* extras_;
  Watch watch_;
};

}  // namespace perdure::mcp
