#pragma once

#include <perdure/error.h>

#include <string>
#include <string_view>

namespace perdure::webhook {

/// The parsed URL of a webhook.
struct Url {
  bool tls = false;
  std::string host;    ///< for name look-up: no brackets around an IPv6 address
  std::string port;    ///< digits
  std::string target;  ///< path and query, at least "/"

  /// The value of the Host header.
  [[nodiscard]] std::string authority() const;
};

/// `http://` or `https://`, host, port, path and query; a fragment is dropped. Errors: usage for another scheme, a user
/// name (every user could see it in the process list), blanks and control characters.
[[nodiscard]] Result<Url> parse_url(std::string_view text);

}  // namespace perdure::webhook
