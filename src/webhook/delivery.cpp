#include "webhook/delivery.h"

#include "base/error.h"
#include "webhook/host.h"

#include <boost/asio/connect.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/host_name_verification.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/beast/ssl/ssl_stream.hpp>
#include <fmt/format.h>

#include <optional>

namespace perdure::webhook {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using boost::system::error_code;
using tcp = asio::ip::tcp;

// Asynchronous operations, one after the other: only these can have a time limit.
class Attempt {
 public:
  Attempt(const Request& request, std::chrono::milliseconds timeout)
      : request_(request), until_(std::chrono::steady_clock::now() + timeout) {}

  Result<int> run() {
    if (auto connected = connect(); !connected) return std::unexpected(connected.error());
    if (!request_.url.tls) return exchange(stream_);
    asio::ssl::context trust(asio::ssl::context::tls_client);
    trust.set_default_verify_paths();
    // A file that can't be read leaves the server untrusted, which the handshake reports.
    error_code ignored;
    if (const auto file = certificate_file(); !file.empty()) trust.load_verify_file(file, ignored);
    trust.set_verify_mode(asio::ssl::verify_peer);
    beast::ssl_stream<beast::tcp_stream&> secured(stream_, trust);
    secured.set_verify_callback(asio::ssl::host_name_verification(request_.url.host));
    // As OpenSSL's macro, without its cast. A numeric address is not sent as a server name.
    if (std::string name = request_.url.host; name.find_first_not_of("0123456789.:") != std::string::npos)
      ::SSL_ctrl(secured.native_handle(), SSL_CTRL_SET_TLSEXT_HOSTNAME, TLSEXT_NAMETYPE_host_name, name.data());
    const auto e = step([&](auto done) { secured.async_handshake(asio::ssl::stream_base::client, done); });
    if (e) return failure("agreeing on TLS with", e);
    return exchange(secured);
  }

 private:
  [[nodiscard]] std::unexpected<Error> failure(std::string_view doing, const error_code& e) const {
    return fail(ErrorCode::usage, fmt::format("{} {}: {}", doing, request_.url.authority(),
                                              e == asio::error::operation_aborted ? "no answer in time" : e.message()));
  }

  // Starts one operation and waits for it; operation_aborted if the time is over first.
  template <class Start>
  error_code step(Start&& start) {
    std::optional<error_code> ended;
    io_.restart();
    start([&](const error_code& e, auto&&...) { ended = e; });
    io_.run_until(until_);
    return ended.value_or(asio::error::operation_aborted);
  }

  Result<> connect() {
    tcp::resolver::results_type found;
    auto e = step([&](auto done) {
      resolver_.async_resolve(request_.url.host, request_.url.port,
                              [&, done](const error_code& looked, const tcp::resolver::results_type& results) {
                                found = results;
                                done(looked);
                              });
    });
    if (e) return failure("looking up", e);
    e = step([&](auto done) { stream_.async_connect(found, done); });
    if (e) return failure("connecting to", e);
    return {};
  }

  template <class Stream>
  Result<int> exchange(Stream& stream) {
    http::request<http::string_body> message(http::verb::post, request_.url.target, 11, request_.body);
    message.set(http::field::host, request_.url.authority());
    message.set(http::field::content_type, "application/json");
    message.set(http::field::connection, "close");
    for (const auto& [name, value] : request_.headers) message.set(name, value);
    message.prepare_payload();
    auto e = step([&](auto done) { http::async_write(stream, message, done); });
    if (e) return failure("posting to", e);
    // Only the status is needed: the body of the response is not read.
    http::response_parser<http::empty_body> answer;
    answer.skip(true);
    beast::flat_buffer buffer;
    e = step([&](auto done) { http::async_read_header(stream, buffer, answer, done); });
    if (e) return failure("waiting for the answer of", e);
    return static_cast<int>(answer.get().result_int());
  }

  const Request& request_;
  std::chrono::steady_clock::time_point until_;
  asio::io_context io_;
  tcp::resolver resolver_{io_};
  beast::tcp_stream stream_{io_};
};

}  // namespace

Result<int> post(const Request& request, std::chrono::milliseconds timeout) {
  return Attempt(request, timeout).run();
}

}  // namespace perdure::webhook
