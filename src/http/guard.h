#pragma once

#include "http/listener.h"

#include <optional>
#include <string>
#include <string_view>

namespace perdure::http {

/// Who may talk to a server on this machine: whoever has the token, and no web page that a browser of this machine
/// shows (DNS rebinding, requests across sites).
class Guard {
 public:
  /// Without a token everybody may who can reach it.
  Guard(Endpoint endpoint, std::optional<std::string> token)
      : endpoint_(std::move(endpoint)), token_(std::move(token)) {}

  /// Absent where a request may pass. 403 for a foreign Host or Origin, 400 for a second Host, Origin or Authorization, 401
  /// without the token. Looks at the header only.
  [[nodiscard]] std::optional<Refusal> refuses(const Request& request) const;

 private:
  [[nodiscard]] bool is_ours(std::string_view host) const;
  Endpoint endpoint_;
  std::optional<std::string> token_;
};

/// "localhost:80" -> "localhost", "[::1]:80" -> "::1"; "" for what is no host with a port, as "localhost:80@evil.example".
[[nodiscard]] std::string_view host_name(std::string_view host);

/// What stands behind "Bearer ", whose letters may be of either case (RFC 9110, 11.1); "" for another scheme.
[[nodiscard]] std::string_view bearer_token(std::string_view authorization);

struct Token {
  std::string text;
  bool is_new = false;
};

/// The token in a file, which is made, 0600, where there is none. Errors: session_unusable; config_invalid where the
/// file can be read by others or holds no token.
[[nodiscard]] Result<Token> load_or_make_token(const std::string& folder, const std::string& name);

}  // namespace perdure::http
