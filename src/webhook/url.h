#pragma once

#include <perdure/error.h>

#include <string>
#include <string_view>

namespace perdure::webhook {

/// Where to post to.
struct Url {
  bool tls = false;
  std::string host;    ///< as it is looked up: no brackets around an IPv6 address
  std::string port;    ///< digits
  std::string target;  ///< path and query, at least "/"

  /// What the Host header says.
  [[nodiscard]] std::string authority() const;
};

/// `http://` or `https://`, host, port, path and query; a fragment is dropped. Errors: usage, for any other scheme,
/// a user name in it (it would be in everybody's process list), blanks and control characters.
[[nodiscard]] Result<Url> parse_url(std::string_view text);

}  // namespace perdure::webhook
