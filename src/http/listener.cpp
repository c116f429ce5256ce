#include "http/listener.h"

#include "base/error.h"
#include "http/connection.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <cctype>
#include <cerrno>
#include <charconv>
#include <list>
#include <optional>
#include <system_error>
#include <thread>

namespace perdure::http {
namespace {

struct Address {
  sockaddr_storage storage{};
  socklen_t length = 0;
};

std::optional<Address> address_of(const Endpoint& endpoint) {
  Address address;
  if (endpoint.address.find(':') == std::string::npos) {
    auto* const four = reinterpret_cast<sockaddr_in*>(&address.storage);
    four->sin_family = AF_INET;
    four->sin_port = htons(endpoint.port);
    address.length = sizeof *four;
    if (::inet_pton(AF_INET, endpoint.address.c_str(), &four->sin_addr) != 1) return std::nullopt;
  } else {
    auto* const six = reinterpret_cast<sockaddr_in6*>(&address.storage);
    six->sin6_family = AF_INET6;
    six->sin6_port = htons(endpoint.port);
    address.length = sizeof *six;
    if (::inet_pton(AF_INET6, endpoint.address.c_str(), &six->sin6_addr) != 1) return std::nullopt;
  }
  return address;
}

std::uint16_t port_of(int socket) {
  Address address;
  address.length = sizeof address.storage;
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&address.storage), &address.length) != 0) return 0;
  return ntohs(address.storage.ss_family == AF_INET6
                   ? reinterpret_cast<const sockaddr_in6*>(&address.storage)->sin6_port
                   : reinterpret_cast<const sockaddr_in*>(&address.storage)->sin_port);
}

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

// The threads of the connections. The accepting thread joins finished ones.
class Connections {
 public:
  explicit Connections(const Limits& limits) : limits_(limits), done_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}
  ~Connections() {
    for (auto& thread : threads_) thread.thread.join();
  }

  [[nodiscard]] int done_fd() const { return done_.get(); }

  void reap() {
    std::uint64_t count = 0;
    [[maybe_unused]] const ssize_t n = ::read(done_.get(), &count, sizeof count);
    for (auto thread = threads_.begin(); thread != threads_.end();) {
      if (thread->is_done) {
        thread->thread.join();
        thread = threads_.erase(thread);
      } else {
        ++thread;
      }
    }
  }

  template <class Serve>
  void start(Fd socket, const Serve& serve) {
    reap();
    make_room();
    if (threads_.size() >= static_cast<std::size_t>(limits_.connections)) return refuse_connection(std::move(socket));
    threads_.emplace_back();
    One* const one = &threads_.back();
    one->other_end = Fd(::fcntl(socket.get(), F_DUPFD_CLOEXEC, 0));
    try {
      one->thread = std::thread([this, one, serve, fd = socket.get()] {
        serve(Fd(fd), one->is_known);
        one->is_done = true;
        const std::uint64_t count = 1;
        [[maybe_unused]] const ssize_t n = ::write(done_.get(), &count, sizeof count);
      });
      [[maybe_unused]] const int given_away = socket.release();
    } catch (const std::system_error&) {
      threads_.pop_back();
      refuse_connection(std::move(socket));
    }
  }

 private:
  struct One {
    std::thread thread;
    Fd other_end;  // the same socket, to end it from here
    std::atomic<bool> is_known = false, is_done = false;
  };

  // Connections without an admitted request must not keep others out: if there are too many, the oldest is closed.
  void make_room() {
    const auto is_stranger = [](const One& one) { return !one.is_known && !one.is_done && one.other_end; };
    if (std::ranges::count_if(threads_, is_stranger) < limits_.strangers) return;
    One& oldest = *std::ranges::find_if(threads_, is_stranger);
    ::shutdown(oldest.other_end.get(), SHUT_RDWR);
    oldest.other_end.reset();
  }

  Limits limits_;
  Fd done_;
  std::list<One> threads_;
};

}  // namespace

std::string_view Request::header(std::string_view name) const {
  const auto found =
      std::ranges::find_if(headers, [&](const auto& one) { return equal_ignoring_case(one.first, name); });
  return found == headers.end() ? std::string_view() : std::string_view(found->second);
}

bool Request::has_header(std::string_view name) const {
  return std::ranges::any_of(headers, [&](const auto& one) { return equal_ignoring_case(one.first, name); });
}

std::size_t Request::count_of(std::string_view name) const {
  return static_cast<std::size_t>(
      std::ranges::count_if(headers, [&](const auto& one) { return equal_ignoring_case(one.first, name); }));
}

std::string_view Request::path() const {
  return std::string_view(target).substr(0, target.find('?'));
}

Result<Endpoint> Endpoint::parse(std::string_view text) {
  Endpoint endpoint;
  std::string_view port = text;
  if (const auto colon = text.rfind(':'); colon != std::string_view::npos) {
    std::string_view address = text.substr(0, colon);
    port = text.substr(colon + 1);
    if (address.size() > 2 && address.front() == '[' && address.back() == ']')
      address = address.substr(1, address.size() - 2);
    endpoint.address = address == "localhost" ? "127.0.0.1" : address;
  }
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), endpoint.port);
  if (port.empty() || error != std::errc() || end != port.data() + port.size() || !address_of(endpoint))
    return fail(ErrorCode::usage, fmt::format("'{}' is not of the form ADDRESS:PORT, as 127.0.0.1:8080", text));
  return endpoint;
}

bool Endpoint::is_loopback() const {
  return address.starts_with("127.") || address == "::1";
}

std::string Endpoint::text() const {
  return address.find(':') == std::string::npos ? fmt::format("{}:{}", address, port)
                                                : fmt::format("[{}]:{}", address, port);
}

Result<Listener> Listener::open(const Endpoint& endpoint) {
  const auto address = address_of(endpoint);
  if (!address) return fail(ErrorCode::usage, fmt::format("'{}' is not an address", endpoint.address));
  Fd socket(::socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return fail_errno("opening", "a socket");
  const int yes = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address->storage), address->length) != 0 ||
      ::listen(socket.get(), SOMAXCONN) != 0)
    return fail_errno("listening on", endpoint.text());
  Endpoint real = endpoint;
  real.port = port_of(socket.get());
  return Listener(std::move(socket), std::move(real));
}

void Listener::serve(Service& service, const Limits& limits, int stop_fd) {
  Connections connections(limits);
  const auto serve_one = [&](Fd socket, std::atomic<bool>& is_known) {
    serve_connection(std::move(socket), limits, stop_fd, service, is_known);
  };
  while (true) {
    pollfd look[] = {{.fd = stop_fd, .events = POLLIN, .revents = 0},
                     {.fd = socket_.get(), .events = POLLIN, .revents = 0},
                     {.fd = connections.done_fd(), .events = POLLIN, .revents = 0}};
    if (::poll(look, 3, -1) < 0 && errno != EINTR) return;
    if (look[0].revents != 0) return;
    if (look[2].revents != 0) connections.reap();
    if (look[1].revents == 0) continue;
    Fd socket(::accept4(socket_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (socket) {
      const int yes = 1;
      ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
      connections.start(std::move(socket), serve_one);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
      // The connection stays in the backlog, and poll() would return at once: wait until one here has ended.
      pollfd ended[] = {{.fd = stop_fd, .events = POLLIN, .revents = 0},
                        {.fd = connections.done_fd(), .events = POLLIN, .revents = 0}};
      ::poll(ended, 2, 1'000);
    }
  }
}

}  // namespace perdure::http
