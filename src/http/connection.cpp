#include "http/connection.h"

#include "base/clock.h"

#include <poll.h>
#include <sys/socket.h>

#include <boost/asio/buffer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include <algorithm>
#include <cerrno>
#include <optional>

namespace perdure::http {
namespace {

namespace beast = boost::beast::http;
using boost::system::error_code;

// A socket as a stream for Beast, with deadlines, which Asio's blocking sockets lack.
class Stream {
 public:
  Stream(Fd socket, int stop_fd) : socket_(std::move(socket)), stop_fd_(stop_fd) {}

  [[nodiscard]] int fd() const { return socket_.get(); }
  void read_until(std::int64_t steady) { read_until_ = steady; }
  void write_patience(int ms) { write_ms_ = ms; }

  template <class Buffers>
  std::size_t read_some(const Buffers& buffers, error_code& error) {
    const boost::asio::mutable_buffer buffer = *boost::asio::buffer_sequence_begin(buffers);
    while (true) {
      if (!await(POLLIN, read_until_, true)) return failed(error, boost::system::errc::timed_out);
      const ssize_t n = ::recv(fd(), buffer.data(), buffer.size(), MSG_DONTWAIT);
      if (n > 0) {
        error = {};
        return static_cast<std::size_t>(n);
      }
      if (n == 0) {
        error = boost::asio::error::eof;
        return 0;
      }
      if (errno != EAGAIN && errno != EINTR) return failed(error, boost::system::errc::connection_reset);
    }
  }
  template <class Buffers>
  std::size_t write_some(const Buffers& buffers, error_code& error) {
    for (auto each = boost::asio::buffer_sequence_begin(buffers); each != boost::asio::buffer_sequence_end(buffers);
         ++each) {
      const boost::asio::const_buffer buffer = *each;
      if (buffer.size() == 0) continue;
      while (true) {
        if (!await(POLLOUT, steady_ms() + write_ms_, false)) return failed(error, boost::system::errc::timed_out);
        const ssize_t n = ::send(fd(), buffer.data(), buffer.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n >= 0) {
          error = {};
          return static_cast<std::size_t>(n);
        }
        if (errno != EAGAIN && errno != EINTR) return failed(error, boost::system::errc::connection_reset);
      }
    }
    error = {};
    return 0;
  }
  // Beast requires these overloads but does not call them.
  template <class Buffers>
  std::size_t read_some(const Buffers& buffers) {
    error_code error;
    return read_some(buffers, error);
  }
  template <class Buffers>
  std::size_t write_some(const Buffers& buffers) {
    error_code error;
    return write_some(buffers, error);
  }

  // False: the time is over, or the server is shutting down.
  bool await(short events, std::int64_t until, bool stops) {
    while (true) {
      pollfd look[] = {{.fd = fd(), .events = events, .revents = 0},
                       {.fd = stops ? stop_fd_ : -1, .events = POLLIN, .revents = 0}};
      const auto left = std::clamp<std::int64_t>(until - steady_ms(), 0, 60'000);
      const int n = ::poll(look, 2, static_cast<int>(left));
      if (n < 0 && errno != EINTR) return false;
      if (n > 0 && look[0].revents != 0) return true;
      if (n > 0 || steady_ms() >= until) return false;
    }
  }
  [[nodiscard]] int stop_fd() const { return stop_fd_; }

 private:
  static std::size_t failed(error_code& error, boost::system::errc::errc_t why) {
    error = boost::system::errc::make_error_code(why);
    return 0;
  }

  Fd socket_;
  int stop_fd_;
  std::int64_t read_until_ = 0;
  int write_ms_ = 0;
};

class Connected final : public Exchange {
 public:
  Connected(Stream& stream, Request request, unsigned version, bool keep_alive)
      : stream_(stream), version_(version), keep_alive_(keep_alive) {
    request_ = std::move(request);
  }

  bool respond(int status, const Headers& headers, std::string_view body) override {
    begun_ = true;
    beast::response<beast::string_body> response(static_cast<beast::status>(status), version_);
    for (const auto& [name, value] : headers) response.set(name, value);
    response.body() = body;
    response.keep_alive(keep_alive_);
    response.prepare_payload();
    error_code error;
    beast::write(stream_, response, error);
    return keep_alive_ = !error && keep_alive_, !error;
  }

  bool begin_stream(int status, const Headers& headers) override {
    begun_ = true;
    beast::response<beast::empty_body> response(static_cast<beast::status>(status), version_);
    for (const auto& [name, value] : headers) response.set(name, value);
    chunked_ = version_ == 11;
    // For a client of HTTP/1.0 the end of the connection is the end of a stream.
    if (!chunked_) keep_alive_ = false;
    response.keep_alive(keep_alive_);
    response.chunked(chunked_);
    beast::response_serializer<beast::empty_body> serializer(response);
    error_code error;
    beast::write_header(stream_, serializer, error);
    streaming_ = true;
    return note(error);
  }

  bool write(std::string_view piece) override {
    if (broken_) return false;
    error_code error;
    const boost::asio::const_buffer bytes(piece.data(), piece.size());
    if (chunked_) {
      boost::asio::write(stream_, beast::make_chunk(bytes), error);
    } else {
      boost::asio::write(stream_, bytes, error);
    }
    return note(error);
  }

  Woken sleep(int fd, int timeout_ms) override {
    const std::int64_t until = steady_ms() + timeout_ms;
    while (true) {
      pollfd look[] = {{.fd = fd, .events = POLLIN, .revents = 0},
                       {.fd = stream_.fd(), .events = POLLRDHUP, .revents = 0},
                       {.fd = stream_.stop_fd(), .events = POLLIN, .revents = 0}};
      const int n = ::poll(look, 3, static_cast<int>(std::max<std::int64_t>(0, until - steady_ms())));
      if (n < 0 && errno != EINTR) return Woken::peer_closed;
      if (n > 0 && look[0].revents != 0) return Woken::readable;
      if (n > 0 && look[1].revents != 0) return Woken::peer_closed;
      if (n > 0 && look[2].revents != 0) return Woken::server_ends;
      if (steady_ms() >= until) return Woken::time_passed;
    }
  }

  // True: the connection may be used again.
  bool finish() {
    if (!begun_) respond(500, {}, "");
    if (streaming_ && chunked_ && !broken_) {
      error_code error;
      boost::asio::write(stream_, beast::make_chunk_last(), error);
      note(error);
    }
    return keep_alive_ && !broken_;
  }

 private:
  bool note(const error_code& error) {
    if (error) broken_ = true;
    return !error;
  }

  Stream& stream_;
  unsigned version_;
  bool keep_alive_, chunked_ = false, streaming_ = false, broken_ = false;
};

std::optional<int> status_for(const error_code& error) {
  if (error == beast::error::body_limit) return 413;
  if (error == beast::error::header_limit) return 431;
  if (error == boost::system::errc::timed_out) return 408;
  if (error == beast::error::end_of_stream || error == beast::error::partial_message ||
      error == boost::asio::error::eof || error == boost::system::errc::connection_reset)
    return std::nullopt;
  return 400;
}

template <class Message>
Request header_of(const Message& message) {
  Request request{.method = std::string(message.method_string()), .target = std::string(message.target())};
  for (const auto& field : message) request.headers.emplace_back(field.name_string(), field.value());
  return request;
}

// The rest of the request is read, within limits: closing with unread bytes would reset the connection before the peer
// has read the response.
void refuse(Stream& stream, const Refusal& refusal) {
  constexpr int kMostParts = 64;
  constexpr int kPatienceMs = 200;
  Connected(stream, {}, 11, false).respond(refusal.status, refusal.headers, refusal.body);
  ::shutdown(stream.fd(), SHUT_WR);
  char ignored[4096];
  stream.read_until(steady_ms() + kPatienceMs);
  for (int i = 0; i < kMostParts; ++i) {
    error_code error;
    if (stream.read_some(boost::asio::mutable_buffer(ignored, sizeof ignored), error) == 0) return;
  }
}

// Reads one request. Absent: there are no more; an invalid one was answered.
std::optional<Connected> next_request(Stream& stream, boost::beast::flat_buffer& buffer, const Limits& limits,
                                      const Service& service, std::atomic<bool>& is_known) {
  const int patience = is_known ? limits.idle_ms : limits.header_ms;
  if (buffer.size() == 0 && !stream.await(POLLIN, steady_ms() + patience, true)) return std::nullopt;
  stream.read_until(steady_ms() + limits.header_ms);
  beast::request_parser<beast::string_body> parser;
  parser.header_limit(static_cast<std::uint32_t>(limits.header_bytes));
  parser.body_limit(limits.body_bytes);
  error_code error;
  beast::read_header(stream, buffer, parser, error);
  if (!error) {
    if (const auto refusal = service.refuses(header_of(parser.get()))) {
      refuse(stream, *refusal);
      return std::nullopt;
    }
    is_known = true;
    stream.read_until(steady_ms() + limits.request_ms);
  }
  if (!error && parser.get()[beast::field::expect] == "100-continue") {
    beast::response<beast::empty_body> go_on(beast::status::continue_, 11);
    beast::write(stream, go_on, error);
  }
  if (!error) beast::read(stream, buffer, parser, error);
  if (error) {
    if (const auto status = status_for(error)) refuse(stream, {.status = *status, .headers = {}, .body = {}});
    return std::nullopt;
  }
  auto message = parser.release();
  Request request = header_of(message);
  request.body = std::move(message.body());
  return Connected(stream, std::move(request), message.version(), message.keep_alive());
}

}  // namespace

void serve_connection(Fd socket, const Limits& limits, int stop_fd, Service& service, std::atomic<bool>& is_known) {
  Stream stream(std::move(socket), stop_fd);
  stream.write_patience(limits.write_ms);
  boost::beast::flat_buffer buffer;
  while (true) {
    auto exchange = next_request(stream, buffer, limits, service, is_known);
    if (!exchange) return;
    service.answer(*exchange);
    if (!exchange->finish()) return;
    buffer.shrink_to_fit();  // a large request must not occupy memory until the connection ends
  }
}

void refuse_connection(Fd socket) {
  Stream stream(std::move(socket), -1);
  stream.write_patience(100);
  Connected(stream, {}, 11, false).respond(503, {{"Retry-After", "1"}}, "");
}

}  // namespace perdure::http
