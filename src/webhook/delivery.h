#pragma once

#include "webhook/url.h"

#include <chrono>
#include <string>
#include <utility>
#include <vector>

namespace perdure::webhook {

struct Request {
  Url url;
  std::string body;
  std::vector<std::pair<std::string, std::string>> headers;
};

/// Posts it once and returns the status of the response. Name look-up, connection, TLS and response share `timeout`.
/// With https the server's certificate must be trusted by this machine and match the name. Errors: usage, naming the
/// step that failed.
[[nodiscard]] Result<int> post(const Request& request, std::chrono::milliseconds timeout);

/// May the same request succeed a little later?
[[nodiscard]] constexpr bool is_worth_another_try(int status) {
  return status >= 500 || status == 429 || status == 408;
}

}  // namespace perdure::webhook
