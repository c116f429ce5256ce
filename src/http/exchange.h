#pragma once

#include <memory>
#include <optional>
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
  int strangers = 16;       ///< of them, those of which no request was admitted yet; one more ends the oldest of these
  int header_ms = 5'000;    ///< for the header of a request, and for a stranger to begin its first one
  int request_ms = 20'000;  ///< for the body that follows: who is slower is cut off
  int idle_ms = 60'000;     ///< between two requests
  int write_ms = 10'000;    ///< without the peer taking a byte
};

struct Request {
  std::string method, target, body;
  Headers headers;

  /// The value of a header, whatever its case; "" where it is absent.
  [[nodiscard]] std::string_view header(std::string_view name) const;
  [[nodiscard]] bool has_header(std::string_view name) const;
  [[nodiscard]] std::size_t count_of(std::string_view name) const;
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

/// An answer that the header alone calls for.
struct Refusal {
  int status = 403;
  Headers headers;
  std::string body;
};

/// What a server serves. Both are called in the threads of the connections.
class Service {
 public:
  virtual ~Service() = default;

  /// Asked before the body of a request is read, so that whoever may not pass costs no memory; `header.body` is empty.
  /// Absent: it may pass, and its peer is no stranger from then on.
  [[nodiscard]] virtual std::optional<Refusal> refuses(const Request& header) const = 0;

  /// An exchange that is left without a response gives 500. Blocks as long as the request takes.
  virtual void answer(Exchange& exchange) = 0;
};

}  // namespace perdure::http
