#pragma once

#include "jsonrpc/message.h"
#include "jsonrpc/peer.h"

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

// The Model Context Protocol in both of its generations. Legacy: `initialize` begins a conversation with state. Modern:
// every request names its client and the client's capabilities; no state is kept between requests.
namespace perdure::mcp {

namespace json = boost::json;
using jsonrpc::Fault;

inline constexpr std::string_view kModernVersion = "2026-07-28";
inline constexpr std::array<std::string_view, 1> kModernVersions = {kModernVersion};
/// Newest first: the answer to an unknown version.
inline constexpr std::array<std::string_view, 4> kLegacyVersions = {"2025-11-25", "2025-06-18", "2025-03-26",
                                                                    "2024-11-05"};

inline constexpr int kHeaderMismatch = -32020, kMissingCapability = -32021, kUnsupportedVersion = -32022,
                     kLegacyResourceNotFound = -32002;

// Keys of _meta
inline constexpr std::string_view kVersionKey = "io.modelcontextprotocol/protocolVersion",
                                  kClientInfoKey = "io.modelcontextprotocol/clientInfo",
                                  kCapabilitiesKey = "io.modelcontextprotocol/clientCapabilities",
                                  kServerInfoKey = "io.modelcontextprotocol/serverInfo",
                                  kSubscriptionKey = "io.modelcontextprotocol/subscriptionId",
                                  kLogLevelKey = "io.modelcontextprotocol/logLevel",
                                  kRelatedTaskKey = "io.modelcontextprotocol/related-task";
inline constexpr std::string_view kTasksExtension = "io.modelcontextprotocol/tasks";

enum class Era { legacy, modern };

/// The client as it describes itself.
struct Caller {
  Era era = Era::legacy;
  std::string version;        ///< of the protocol
  std::string name;           ///< of the client; "" if not given
  json::object capabilities;  ///< as declared

  /// Does a path of keys lead to an object, as in has("elicitation")?
  [[nodiscard]] bool has(std::string_view capability) const;
  /// May this request be answered with a task of the extension? Not for a legacy client, even if it declares the
  /// extension.
  [[nodiscard]] bool has_tasks() const;
  /// Legacy revisions had fewer fields: those introduced with `since` are left out for older ones.
  [[nodiscard]] bool knows(std::string_view since) const { return version >= since; }
};

struct Conversation;

/// One request while the server processes it.
struct Request {
  std::string method;
  json::object params;
  json::value id;
  Caller caller;
  jsonrpc::Outlet& outlet;                  ///< for notifications that belong to this request
  jsonrpc::Call& call;                      ///< raised when the answer is no longer wanted
  Conversation* conversation = nullptr;     ///< legacy only
  std::function<void()> after_answer = {};  ///< called after the answer was written, never before
  /// HTTP, legacy: ends the stream; the answer waits until the stream is resumed.
  std::function<void()> close_stream = {};

  [[nodiscard]] const json::object& meta() const;
  /// Does a client of 2025-11-25 request this call as a task? In the modern era the server alone decides.
  [[nodiscard]] bool asks_for_task() const;
  /// A member of params; nullptr if it is absent.
  [[nodiscard]] const json::value* param(std::string_view key) const { return params.if_contains(key); }
};

using Reply = std::expected<json::object, Fault>;

[[nodiscard]] std::unexpected<Fault> fault(int code, std::string message, json::value data = nullptr);
/// For a missing capability that this request needs: `required` in the form of ClientCapabilities in the schema.
[[nodiscard]] std::unexpected<Fault> missing_capability(std::string message, json::object required);
[[nodiscard]] std::unexpected<Fault> unknown_method(std::string_view method);

/// A string member of params. Fault: -32602, naming it.
[[nodiscard]] std::expected<std::string, Fault> text_param(const Request& request, std::string_view key);

/// Sends notifications/progress for this request if it has a token; the value must grow.
void report_progress(Request& request, double progress, std::string_view message, double total = 0);

/// ISO 8601 in UTC with milliseconds.
[[nodiscard]] std::string iso_time(std::int64_t ms_since_epoch);

}  // namespace perdure::mcp
