#pragma once

#include "http/listener.h"

#include <optional>
#include <string>
#include <string_view>

namespace perdure::http {

/// Admits clients with the token to a server on this machine, and rejects requests of web pages in this machine's
/// browsers (DNS rebinding, cross-site requests).
class Guard {
 public:
  /// Without a token every client that can connect is admitted.
  Guard(Endpoint endpoint, std::optional<std::string> token)
      : endpoint_(std::move(endpoint)), token_(std::move(token)) {}

  /// Absent if the request is admitted. 403 for a foreign Host or Origin, 400 for a second Host, Origin or
  /// Authorization, 401 without the token. Checks the header only.
  [[nodiscard]] std::optional<Refusal> refuses(const Request& request) const;

 private:
  [[nodiscard]] bool is_ours(std::string_view host) const;
  Endpoint endpoint_;
  std::optional<std::string> token_;
};

/// "localhost:80" -> "localhost", "[::1]:80" -> "::1"; "" if it is not a host with a port, as
/// "localhost:80@evil.example".
[[nodiscard]] std::string_view host_name(std::string_view host);

/// The text after "Bearer ", in any case of letters (RFC 9110, 11.1); "" for another scheme.
[[nodiscard]] std::string_view bearer_token(std::string_view authorization);

struct Token {
  std::string text;
  bool is_new = false;
};

/// The token in a file; makes the file, 0600, if it is missing. Errors: session_unusable; config_invalid if others can
/// read the file or it has no token.
[[nodiscard]] Result<Token> load_or_make_token(const std::string& folder, const std::string& name);

}  // namespace perdure::http
