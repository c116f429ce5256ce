#include "web/access/access.h"

#include "http/guard.h"

#include <fmt/format.h>

#include <algorithm>

namespace perdure::web {
namespace {

bool is_write(const http::Request& request) {
  return request.method != "GET" && request.method != "HEAD";
}

bool is_json(std::string_view type) {
  type = type.substr(0, type.find(';'));
  while (type.ends_with(' ')) type.remove_suffix(1);
  return std::ranges::equal(type, std::string_view("application/json"),
                            [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a - 'A' + 'a' : a) == b; });
}

}  // namespace

std::optional<Refusal> refusal_of(const http::Request& request, const std::string& address,
                                  const std::optional<std::string>& origin) {
  // Of two such headers one program may read the first and another the last.
  for (const char* const once : {"Host", "Origin", "Authorization", "Sec-Fetch-Site"})
    if (request.count_of(once) > 1) return Refusal{400, fmt::format("{} is given twice", once)};
  const std::string_view host = request.header("Host");
  const std::string_view name = http::host_name(host);
  const std::string front =
      origin && origin->find("://") != std::string::npos ? origin->substr(origin->find("://") + 3) : "";
  const bool is_front = !front.empty() && host == front;
  if (name != "localhost" && name != "127.0.0.1" && name != "::1" && name != address && !is_front)
    return Refusal{403, "the Host is not this server"};
  const std::string expected = is_front ? *origin : fmt::format("http://{}", host);
  // A page of another site can make a browser send requests, but it can't set these headers.
  if (request.has_header("Origin") && request.header("Origin") != expected)
    return Refusal{403, "the Origin is another site"};
  const std::string_view site = request.header("Sec-Fetch-Site");
  if (!site.empty() && site != "same-origin" && site != "none")
    return Refusal{403, "the request comes from another site"};
  if (!is_write(request)) return std::nullopt;
  if (!site.empty() && !request.has_header("Origin")) return Refusal{403, "a browser's write needs an Origin"};
  if (!is_json(request.header("Content-Type"))) return Refusal{415, "expected Content-Type: application/json"};
  if (request.header("X-Perdure") != "1") return Refusal{403, "a write needs X-Perdure: 1"};
  return std::nullopt;
}

std::string_view bearer_of(const http::Request& request) {
  return http::bearer_token(request.header("Authorization"));
}

http::Headers safe_headers(std::string_view type) {
  return {{"Content-Type", std::string(type)},
          {"Content-Security-Policy",
           "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; manifest-src "
           "'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"},
          {"X-Content-Type-Options", "nosniff"},
          {"Referrer-Policy", "no-referrer"},
          {"Cross-Origin-Opener-Policy", "same-origin"},
          {"Cross-Origin-Resource-Policy", "same-origin"},
          {"Cache-Control", "no-store"}};
}

}  // namespace perdure::web
