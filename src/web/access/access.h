#pragma once

#include "http/exchange.h"

#include <optional>
#include <string>

namespace perdure::web {

/// A refusal, as a status and a sentence.
struct Refusal {
  int status = 403;
  std::string why;
};

/// What every request must be before it is looked at: meant for this server, and from no other site's page (V41).
/// `origin`: "https://box.example" of a server in front, absent: none.
[[nodiscard]] std::optional<Refusal> refusal_of(const http::Request& request, const std::string& address,
                                                const std::optional<std::string>& origin);

/// What stands behind "Bearer "; "" where there is none.
[[nodiscard]] std::string_view bearer_of(const http::Request& request);

/// What every response has (V42).
[[nodiscard]] http::Headers safe_headers(std::string_view type);

}  // namespace perdure::web
