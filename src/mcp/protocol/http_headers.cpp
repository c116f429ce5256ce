#include "mcp/protocol/http_headers.h"

#include "base/base64.h"

#include <fmt/format.h>

#include <array>
#include <cstdint>

namespace perdure::mcp {
namespace {

constexpr std::string_view kEncodedStart = "=?base64?", kEncodedEnd = "?=";

// Decodes a header's value: values that are not plain ASCII are encoded.
std::optional<std::string> decoded(std::string_view value) {
  if (!value.starts_with(kEncodedStart) || !value.ends_with(kEncodedEnd) ||
      value.size() < kEncodedStart.size() + kEncodedEnd.size())
    return std::string(value);
  value.remove_prefix(kEncodedStart.size());
  value.remove_suffix(kEncodedEnd.size());
  return bytes_of_base64(value);
}

std::string as_text(const json::value& value) {
  return value.is_string() ? std::string(value.get_string()) : json::serialize(value);
}

std::optional<Fault> mismatch(const http::Request& http, std::string_view header, const std::string& body) {
  const auto told = [&](std::string_view what) {
    return Fault{kHeaderMismatch, fmt::format("Header mismatch: {} {}", header, what)};
  };
  if (!http.has_header(header)) return told("is missing");
  const auto value = decoded(http.header(header));
  if (!value) return told("is not valid base64");
  if (*value != body) return told("differs from the body");
  return std::nullopt;
}

// The member of params that Mcp-Name repeats.
std::string_view named_by(std::string_view method) {
  if (method == "tools/call" || method == "prompts/get") return "name";
  if (method == "resources/read") return "uri";
  if (method == "tasks/get" || method == "tasks/update" || method == "tasks/cancel") return "taskId";
  return "";
}

}  // namespace

std::optional<Fault> header_fault(const http::Request& http, const jsonrpc::Message& message,
                                  std::span<const MirroredArgument> mirrored) {
  const auto* const meta = message.params.if_contains("_meta");
  if (meta != nullptr && meta->is_object())
    if (const auto* const version = meta->get_object().if_contains(kVersionKey);
        version != nullptr && version->is_string())
      if (auto wrong = mismatch(http, "MCP-Protocol-Version", as_text(*version))) return wrong;
  if (auto wrong = mismatch(http, "Mcp-Method", message.method)) return wrong;
  if (const std::string_view key = named_by(message.method); !key.empty())
    if (const auto* const name = message.params.if_contains(key); name != nullptr && name->is_string())
      if (auto wrong = mismatch(http, "Mcp-Name", as_text(*name))) return wrong;
  const auto* const arguments = message.params.if_contains("arguments");
  if (arguments == nullptr || !arguments->is_object()) return std::nullopt;
  for (const auto& [header, argument] : mirrored)
    if (const auto* const value = arguments->get_object().if_contains(argument); value != nullptr && !value->is_null())
      if (auto wrong = mismatch(http, "Mcp-Param-" + header, as_text(*value))) return wrong;
  return std::nullopt;
}

int modern_status(const Fault& fault) {
  switch (fault.code) {
    case jsonrpc::kMethodNotFound: return 404;
    case kHeaderMismatch:
    case kMissingCapability:
    case kUnsupportedVersion:
    case jsonrpc::kParseError:
    case jsonrpc::kInvalidRequest: return 400;
    // Only the members of params that every request must have are checked at the HTTP level.
    case jsonrpc::kInvalidParams: return fault.message.find("_meta must") == std::string::npos ? 200 : 400;
    default: return 200;
  }
}

}  // namespace perdure::mcp
