#pragma once

#include "http/exchange.h"

#include <optional>
#include <string>

namespace perdure::web {

/// A refusal: a status and a sentence.
struct Refusal {
  int status = 403;
  std::string why;
};

/// Checks that a request is meant for this server and does not come from another site's page (V41). `origin`:
/// "https://box.example" of a reverse proxy; absent: none.
[[nodiscard]] std::optional<Refusal> refusal_of(const http::Request& request, const std::string& address,
                                                const std::optional<std::string>& origin);

/// The text after "Bearer "; "" if there is none.
[[nodiscard]] std::string_view bearer_of(const http::Request& request);

/// The headers of every response (V42).
[[nodiscard]] http::Headers safe_headers(std::string_view type);

}  // namespace perdure::web
