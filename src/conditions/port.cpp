#include "conditions/port.h"

#include "base/error.h"
#include "base/fd.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <fmt/format.h>

#include <charconv>

namespace perdure::conditions {
namespace {

bool accepts(const sockaddr* address, socklen_t length) {
  const Fd socket(::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  return socket && ::connect(socket.get(), address, length) == 0;
}

}  // namespace

Result<std::uint16_t> parse_port(std::string_view where) {
  constexpr std::string_view kPrefix = "tcp:";
  std::uint16_t port = 0;
  if (where.starts_with(kPrefix)) {
    const std::string_view digits = where.substr(kPrefix.size());
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), port);
    if (error == std::errc() && end == digits.data() + digits.size() && port > 0) return port;
  }
  return fail(ErrorCode::usage, "not of the form tcp:PORT, PORT from 1 to 65535");
}

bool is_port_open(std::uint16_t port) {
  sockaddr_in four{.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
  sockaddr_in6 six{.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = in6addr_loopback};
  return accepts(reinterpret_cast<const sockaddr*>(&four), sizeof four) ||
         accepts(reinterpret_cast<const sockaddr*>(&six), sizeof six);
}

}  // namespace perdure::conditions
