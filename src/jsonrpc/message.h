#pragma once

#include <boost/json.hpp>

#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>

// JSON-RPC 2.0 as used by MCP and ACP: ids are strings or integers, params are objects, one message a line.
namespace perdure::jsonrpc {

namespace json = boost::json;

inline constexpr int kParseError = -32700, kInvalidRequest = -32600, kMethodNotFound = -32601, kInvalidParams = -32602,
                     kInternalError = -32603, kBusy = -32000;

/// An error as it is sent.
struct Fault {
  int code = kInternalError;
  std::string message;
  json::value data = nullptr;  ///< null: none
};

struct Message {
  enum class Kind { request, notification, response };
  Kind kind = Kind::notification;
  json::value id = nullptr;  ///< string or integer; null in the answer to an unreadable request
  std::string method;
  json::object params;
  json::value result = nullptr;  ///< of a response
  std::optional<Fault> fault;    ///< of a response
};

/// Why a text is not a valid message, with its id if that could be read (else null).
struct Unreadable {
  Fault fault;
  json::value id = nullptr;
};

/// Parses JSON text. Refuses text that RFC 8259 does not allow, invalid UTF-8, and more than 64 levels.
[[nodiscard]] std::expected<json::value, Unreadable> parse_text(std::string_view text);

/// A value as a message. Refuses wrong types of the members above, and a version other than 2.0.
[[nodiscard]] std::expected<Message, Unreadable> read_message(json::value value);

[[nodiscard]] json::object make_result(json::value id, json::object result);
[[nodiscard]] json::object make_fault(json::value id, const Fault& fault);
[[nodiscard]] json::object make_notification(std::string_view method, json::object params);
[[nodiscard]] json::object make_request(json::value id, std::string_view method, json::object params);

/// A key for maps: 1 and "1" differ.
[[nodiscard]] std::string id_key(const json::value& id);

}  // namespace perdure::jsonrpc
