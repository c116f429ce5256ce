#include "mcp/protocol/protocol.h"

#include <fmt/format.h>

#include <ctime>

namespace perdure::mcp {

bool Caller::has(std::string_view capability) const {
  const auto* const found = capabilities.if_contains(capability);
  return found != nullptr && found->is_object();
}

bool Caller::has_tasks() const {
  if (era != Era::modern) return false;
  const auto* const extensions = capabilities.if_contains("extensions");
  return extensions != nullptr && extensions->is_object() && extensions->get_object().contains(kTasksExtension);
}

const json::object& Request::meta() const {
  static const json::object kNone;
  const auto* const found = params.if_contains("_meta");
  return found != nullptr && found->is_object() ? found->get_object() : kNone;
}

bool Request::asks_for_task() const {
  return conversation != nullptr && caller.era == Era::legacy && caller.knows("2025-11-25") && params.contains("task");
}

std::unexpected<Fault> fault(int code, std::string message, json::value data) {
  return std::unexpected(Fault{code, std::move(message), std::move(data)});
}

std::unexpected<Fault> missing_capability(std::string message, json::object required) {
  return fault(kMissingCapability, std::move(message), json::object{{"requiredCapabilities", std::move(required)}});
}

std::unexpected<Fault> unknown_method(std::string_view method) {
  return fault(jsonrpc::kMethodNotFound, fmt::format("Method not found: {}", method));
}

std::expected<std::string, Fault> text_param(const Request& request, std::string_view key) {
  const auto* const value = request.param(key);
  if (value == nullptr || !value->is_string())
    return fault(jsonrpc::kInvalidParams, fmt::format("Invalid params: {} must be a string", key));
  return std::string(value->get_string());
}

void report_progress(Request& request, double progress, std::string_view message, double total) {
  const auto* const token = request.meta().if_contains("progressToken");
  if (token == nullptr || (!token->is_string() && !token->is_int64())) return;
  json::object params{{"progressToken", *token}};
  // Integers stay integers: 5, not 5E0.
  const auto number = [](double value) -> json::value {
    const auto whole = static_cast<std::int64_t>(value);
    if (static_cast<double>(whole) == value) return whole;
    return value;
  };
  params["progress"] = number(progress);
  if (total > 0) params["total"] = number(total);
  if (!message.empty() && request.caller.knows("2025-03-26")) params["message"] = message;
  request.outlet.send(jsonrpc::make_notification("notifications/progress", std::move(params)));
}

std::string iso_time(std::int64_t ms_since_epoch) {
  const auto seconds = static_cast<std::time_t>(ms_since_epoch / 1000);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, ms_since_epoch % 1000);
}

}  // namespace perdure::mcp
