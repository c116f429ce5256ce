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
  int strangers = 16;       ///< connections without an admitted request; one more closes the oldest of them
  int header_ms = 5'000;    ///< for the header of a request, and for a new connection's first byte
  int request_ms = 20'000;  ///< for the body; a slower client is disconnected
  int idle_ms = 60'000;     ///< between two requests
  int write_ms = 10'000;    ///< without progress in writing
};

struct Request {
  std::string method, target, body;
  Headers headers;

  /// The value of a header, in any case of letters; "" if it is absent.
  [[nodiscard]] std::string_view header(std::string_view name) const;
  [[nodiscard]] bool has_header(std::string_view name) const;
  [[nodiscard]] std::size_t count_of(std::string_view name) const;
  /// The target without its query.
  [[nodiscard]] std::string_view path() const;
};

/// One request and its response. Not thread-safe: only the thread of its connection uses it.
class Exchange {
 public:
  virtual ~Exchange() = default;

  [[nodiscard]] const Request& request() const { return request_; }

  /// Sends a complete response. False: the peer has disconnected. Call either this or begin_stream(), once.
  virtual bool respond(int status, const Headers& headers, std::string_view body) = 0;
  /// Begins a response that is written in pieces and ends when the handler returns.
  virtual bool begin_stream(int status, const Headers& headers) = 0;
  virtual bool write(std::string_view piece) = 0;
  [[nodiscard]] bool has_begun() const { return begun_; }

  /// Sleeps until `fd` is readable (-1: none), the peer closes, the server shuts down, or the time is over.
  enum class Woken { readable, peer_closed, server_ends, time_passed };
  [[nodiscard]] virtual Woken sleep(int fd, int timeout_ms) = 0;

 protected:
  Request request_;
  bool begun_ = false;
};

/// A response that depends on the header only.
struct Refusal {
  int status = 403;
  Headers headers;
  std::string body;
};

/// The contents of a server. Both functions are called in the threads of the connections.
class Service {
 public:
  virtual ~Service() = default;

  /// Called before the body of a request is read, so that a rejected client costs no memory; `header.body` is empty.
  /// Absent: the request is admitted.
  [[nodiscard]] virtual std::optional<Refusal> refuses(const Request& header) const = 0;

  /// If it returns without a response, the status is 500. Blocks as long as the request takes.
  virtual void answer(Exchange& exchange) = 0;
};

}  // namespace perdure::http
