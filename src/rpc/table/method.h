#pragma once

#include "jsonrpc/message.h"

#include <cstdint>
#include <expected>
#include <optional>
#include <span>
#include <string>
#include <string_view>

// The one table of methods. The dispatcher, the parameter checks, docs/reference/rpc.md and the types of the SDKs are
// generated from it (`perdure rpc --schema`, tools/rpc_reference.py).
namespace perdure::rpc {

namespace json = boost::json;
using jsonrpc::Fault;
using Reply = std::expected<json::object, Fault>;
struct Request;

/// A member of an object. Types: "string", "integer", "number", "boolean", "object", "{string}" (an object of strings),
/// "string+" (a string, or an array of them), "a|b|c" (one of these words), the name of a Shape, any of them with "[]" (an array), and with "?" (or null).
struct Field {
  std::string_view name;
  std::string_view type;
  std::string_view help;
  bool required = false;
  std::optional<std::int64_t> least = {}, most = {};  ///< of integers
};

/// An object that several methods share.
struct Shape {
  std::string_view name;
  std::string_view help;
  std::span<const Field> fields;
};

/// What a client may do if the connection broke before the answer came (V50).
enum class Repeat {
  yes,            ///< it changes nothing, or doing it twice is doing it once
  with_key,       ///< with the same idempotencyKey
  with_write_id,  ///< with the same writeId; without one it is uncertain
  no,             ///< the client reports a retryable error: its effect can be looked up
  uncertain       ///< a second time would be a second effect, and whether there was a first cannot be found out
};
[[nodiscard]] std::string_view name_of(Repeat repeat);

struct Method {
  std::string_view name;
  std::string_view help;
  bool writes = false;  ///< may change the session; else read-only (L50)
  Repeat repeat = Repeat::yes;
  std::span<const Field> params = {};
  std::span<const Field> result = {};
  Reply (*handle)(Request& request) = nullptr;
  /// Calls with the same value of this parameter are worked on one after the other, as they came; "": side by side.
  std::string_view in_order_of = {};
};

/// A notification that the server sends.
struct Announcement {
  std::string_view name;
  std::string_view help;
  std::span<const Field> params;
};

/// Every given field has its type, and every required one is there; unknown ones are ignored. Null counts as absent.
/// The error names the field, what was expected and what was got.
[[nodiscard]] std::expected<void, Fault> check(std::span<const Field> fields, const json::object& given);

[[nodiscard]] std::span<const Shape> all_shapes();
[[nodiscard]] std::span<const Announcement> all_announcements();

}  // namespace perdure::rpc
