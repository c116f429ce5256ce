#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// HTTP/1.1 for front ends that serve a few clients on this machine. Blocking: one thread a connection.
namespace perdure::http {

using Headers = std::vector<std::pair<std::string, std::string>>;

struct Limits {
  std::size_t header_bytes = std::size_t{32} << 10;
  std::size_t body_bytes = std::size_t{16} << 20;
  int connections = 128;
  int request_ms = 20'000;  ///< from the first byte of a request to its last: who is slower is cut off
  int idle_ms = 60'000;     ///< between two requests
  int write_ms = 10'000;    ///< without the peer taking a byte
};

struct Request {
  std::string method, target, body;
  Headers headers;

  /// The value of a header, whatever its case; "" where it is absent.
  [[nodiscard]] std::string_view header(std::string_view name) const;
  [[nodiscard]] bool has_header(std::string_view name) const;
  /// The target without its query.
  [[nodiscard]] std::string_view path() const;
};

/// One request and the response to it. Not thread-safe: the one thread of its connection uses it.
class Exchange {
 public:
  virtual ~Exchange() = default;

  [[nodiscard]] const Request& request() const { return request_; }

  /// A whole response. False: the peer has gone. At most one of this and begin_stream().
  virtual bool respond(int status, const Headers& headers, std::string_view body) = 0;
  /// A response that is written piece by piece, and ended by the return of the handler.
  virtual bool begin_stream(int status, const Headers& headers) = 0;
  virtual bool write(std::string_view piece) = 0;
  [[nodiscard]] bool has_begun() const { return begun_; }

  /// Sleeps until `fd` is readable (-1: none), the peer closes, the server ends, or the time has passed.
  enum class Woken { readable, peer_closed, server_ends, time_passed };
  [[nodiscard]] virtual Woken sleep(int fd, int timeout_ms) = 0;

 protected:
  Request request_;
  bool begun_ = false;
};

}  // namespace perdure::http
