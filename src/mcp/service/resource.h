#pragma once

#include "mcp/service/service.h"

namespace perdure::mcp {

/// The meaning of a URI of Perdure's: task://ID (the record) or task://ID/output (the log).
struct ResourceName {
  TaskId id;
  bool is_output = false;

  [[nodiscard]] static std::optional<ResourceName> parse(std::string_view uri);
  [[nodiscard]] std::string uri() const;
};

/// A resource_link to a task's log; absent if there is no log.
[[nodiscard]] std::optional<json::object> output_link(const Service& service, const TaskId& id);

// resources/*. All return a fault for a URI that is not a task's.
[[nodiscard]] Reply list_resources(const Service& service, const Request& request);
[[nodiscard]] json::object list_resource_templates();
[[nodiscard]] Reply read_resource(const Service& service, const Request& request);

/// The fault, in the request's era, for the URI of a resource that does not exist.
[[nodiscard]] std::unexpected<Fault> unknown_resource(const Caller& caller, std::string_view uri);

}  // namespace perdure::mcp
