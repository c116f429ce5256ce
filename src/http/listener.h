#pragma once

#include "base/fd.h"
#include "http/exchange.h"
#include <perdure/error.h>

#include <cstdint>
#include <string>

namespace perdure::http {

/// Where to listen: a numeric address.
struct Endpoint {
  std::string address = "127.0.0.1";
  std::uint16_t port = 0;  ///< 0: any free one

  /// "8080", "127.0.0.1:8080", "[::1]:8080". Errors: usage.
  [[nodiscard]] static Result<Endpoint> parse(std::string_view text);
  [[nodiscard]] bool is_loopback() const;
  /// "127.0.0.1:8080", "[::1]:8080"
  [[nodiscard]] std::string text() const;
};

class Listener {
 public:
  /// Errors: usage (no such address), session_unusable with the errno (the port is taken).
  [[nodiscard]] static Result<Listener> open(const Endpoint& endpoint);

  /// The port is the real one.
  [[nodiscard]] const Endpoint& endpoint() const { return endpoint_; }

  /// Serves requests, each connection in its own thread, until `stop_fd` is readable and all connections are closed.
  void serve(Service& service, const Limits& limits, int stop_fd);

 private:
  Listener(Fd socket, Endpoint endpoint) : socket_(std::move(socket)), endpoint_(std::move(endpoint)) {}
  Fd socket_;
  Endpoint endpoint_;
};

}  // namespace perdure::http
