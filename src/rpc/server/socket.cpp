#include "base/error.h"
#include "base/fd.h"
#include "base/file_lock.h"
#include "base/files.h"
#include "rpc/server/connection.h"
#include "rpc/server/read_lines.h"
#include "rpc/server/server.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <fmt/format.h>

#include <cerrno>
#include <cstring>
#include <list>
#include <thread>

namespace perdure::rpc {
namespace {

constexpr std::size_t kMostClients = 64;

// The socket and its folder, and the lock that says that its server lives.
struct Bound {
  Fd folder, lock, socket;
  std::string name;
  std::string path;

  ~Bound() {
    if (socket) ::unlinkat(folder.get(), name.c_str(), 0);
  }
  Bound() = default;
  Bound(const Bound&) = delete;
  Bound& operator=(const Bound&) = delete;
  Bound(Bound&&) = default;
  Bound& operator=(Bound&&) = delete;
};

Result<> remove_dead_socket(const Bound& bound) {
  struct stat about{};
  if (::fstatat(bound.folder.get(), bound.name.c_str(), &about, AT_SYMLINK_NOFOLLOW) != 0)
    return errno == ENOENT ? Result<>() : fail_errno("looking at", bound.path);
  if (!S_ISSOCK(about.st_mode))
    return fail(ErrorCode::usage,
                fmt::format("--socket: {} exists and is not a socket: name another path", bound.path));
  if (::unlinkat(bound.folder.get(), bound.name.c_str(), 0) != 0 && errno != ENOENT)
    return fail_errno("removing the dead socket", bound.path);
  return {};
}

Result<Bound> bind_socket(const std::string& path) {
  Bound bound;
  bound.path = path;
  const auto slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  bound.name = slash == std::string::npos ? path : path.substr(slash + 1);
  if (bound.name.empty())
    return fail(ErrorCode::usage, fmt::format("--socket: expected the path of a file, got '{}'", path));
  bound.folder = Fd(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!bound.folder) return fail_errno("opening", folder);
  auto lock = open_at(bound.folder.get(), bound.name + ".lock", O_RDWR | O_CREAT, path + ".lock");
  if (!lock) return std::unexpected(lock.error());
  bound.lock = std::move(*lock);
  auto mine = try_lock(bound.lock.get(), path + ".lock");
  if (!mine) return std::unexpected(mine.error());
  if (!*mine) return fail(ErrorCode::usage, fmt::format("--socket: another server has {}", path));
  if (auto removed = remove_dead_socket(bound); !removed) return std::unexpected(removed.error());

  Fd socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket) return fail_errno("opening a socket for", path);
  // Through the folder's descriptor: a path of any length fits, and the folder can't be exchanged meanwhile.
  const std::string short_path = fmt::format("/proc/self/fd/{}/{}", bound.folder.get(), bound.name);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (short_path.size() >= sizeof address.sun_path)
    return fail(ErrorCode::usage, fmt::format("--socket: the name {} is too long", bound.name));
  std::memcpy(address.sun_path, short_path.c_str(), short_path.size() + 1);
  const mode_t before = ::umask(0177);  // no other thread of this process makes files yet
  const int failed = ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address);
  const int reason = errno;
  ::umask(before);
  if (failed != 0) return fail_os(reason, "binding", path);
  bound.socket = std::move(socket);
  if (::listen(bound.socket.get(), SOMAXCONN) != 0) return fail_errno("listening on", path);
  return bound;
}

bool is_own_user(int socket) {
  ucred peer{};
  socklen_t size = sizeof peer;
  return ::getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.uid == ::geteuid();
}

struct Served {
  Fd socket;
  std::atomic<bool> over = false;
  std::thread thread;
};

class SocketServer {
 public:
  SocketServer(const Options& options, int stop_fd) : options_(options), stop_fd_(stop_fd) {}
  ~SocketServer() { reap(true); }
  SocketServer(const SocketServer&) = delete;
  SocketServer& operator=(const SocketServer&) = delete;

  void accept(int listener) {
    reap(false);
    Fd socket(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    if (!socket || !is_own_user(socket.get()) || clients_.size() >= kMostClients) return;
    Served& served = clients_.emplace_back();
    served.socket = std::move(socket);
    try {
      served.thread = std::thread([this, &served] { serve(served); });
    } catch (const std::system_error&) {
      clients_.pop_back();  // no thread available: the client sees the connection closed
    }
  }

 private:
  void serve(Served& served) {
    {
      Connection connection(options_, places_, served.socket.get());
      read_lines(connection, served.socket.get(), stop_fd_);
      connection.end(kPatience);
    }
    ::shutdown(served.socket.get(), SHUT_RDWR);
    served.over = true;
  }

  void reap(bool all) {
    for (auto one = clients_.begin(); one != clients_.end();) {
      if (!all && !one->over) {
        ++one;
        continue;
      }
      one->thread.join();
      one = clients_.erase(one);
    }
  }

  const Options& options_;
  const int stop_fd_;
  Places places_;
  std::list<Served> clients_;
};

}  // namespace

Result<> serve_socket(const Options& options, const std::string& path, int stop_fd,
                      const std::function<void()>& on_ready) {
  auto bound = bind_socket(path);
  if (!bound) return std::unexpected(bound.error());
  on_ready();
  SocketServer server(options, stop_fd);
  while (true) {
    pollfd look[] = {{.fd = bound->socket.get(), .events = POLLIN, .revents = 0},
                     {.fd = stop_fd, .events = POLLIN, .revents = 0}};
    if (::poll(look, 2, -1) < 0 && errno != EINTR) return fail_errno("waiting for connections to", path);
    if (look[1].revents != 0) return {};
    if (look[0].revents != 0) server.accept(bound->socket.get());
  }
}

}  // namespace perdure::rpc
