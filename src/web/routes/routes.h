#pragma once

#include "rpc/table/method.h"

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace perdure::web {

namespace json = boost::json;

/// What a server must be allowed to do for a route to exist (V44).
enum class Right {
  look,
  act,   ///< not with --read-only
  start  ///< with --allow-start only: it runs what the request says
};

/// One operation. `{s}` is a session, `{id}` a task.
struct Route {
  std::string_view method;
  std::string_view path;
  std::string_view rpc;  ///< the method that answers; "": the service does
  Right right = Right::look;
  std::string_view help = {};  ///< if `rpc` has none
};

[[nodiscard]] std::span<const Route> all_routes();

/// The whole log as a file; may be asked for by a ticket instead of a token.
[[nodiscard]] bool is_download(const Route& route);

struct Found {
  const Route* route = nullptr;  ///< absent: there is no such path
  bool other_method = false;     ///< the path exists, but with another method
  std::string session, id;
};
[[nodiscard]] Found find_route(std::string_view method, std::string_view path);

/// The parameters of a query, decoded.
[[nodiscard]] std::vector<std::pair<std::string, std::string>> query_of(std::string_view target);

/// Parameters of a method from a query. A member of `filter` is a parameter of its own; lists are separated by commas.
/// The fault says what is wrong.
[[nodiscard]] std::expected<json::object, rpc::Fault> params_of_query(std::string_view target,
                                                                      std::span<const rpc::Field> fields);

/// OpenAPI 3.1.
[[nodiscard]] std::string openapi_json();

/// The HTTP status for an error code.
[[nodiscard]] int status_of(const rpc::Fault& fault);

}  // namespace perdure::web
