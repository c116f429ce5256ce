#include "runner/control.h"

#include "contract/control.h"
#include "contract/names.h"
#include "runner/text.h"

#include <cstdlib>
#include <cstring>

namespace runner {
namespace {

constexpr unsigned char kClient = 1, kWaits = 2;
constexpr int kBacklog = 256;
constexpr int kKeptFree = 24;  // descriptors that no client gets

}  // namespace

Control::~Control() {
  std::free(flags_);
}

int Control::open(int task_folder) {
  listener_ = Fd(sys::checked(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)));
  if (!listener_) return listener_.get();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // Through the folder's descriptor: a path of its own may be longer than a socket address can be.
  const auto name = Text<sizeof address.sun_path>()
                    << "/proc/self/fd/" << task_folder << "/" << perdure::contract::kControlSocket;
  std::memcpy(address.sun_path, name.c_str(), name.view().size() + 1);
  sys::unlink_at(task_folder, perdure::contract::kControlSocket);  // of a runner that was killed
  if (::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) return -errno;
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < INT32_MAX)
    most_ = static_cast<int>(files.rlim_cur) - kKeptFree;
  return sys::checked(::listen(listener_.get(), kBacklog));
}

void Control::accept(int epoll, unsigned long long tag) {
  while (true) {
    const int client = sys::checked(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (client == -EINTR || client == -ECONNABORTED) continue;
    if (client == -EMFILE || client == -ENFILE || client == -ENOMEM || client == -ENOBUFS) {
      // The listener stays readable, so it would wake us for ever: it is listened to again a little later.
      paused_ = sys::unwatch(epoll, listener_.get()) == 0;
      return;
    }
    if (client < 0) return;
    if (client > most_) {
      // The log, the record and the tree need descriptors, too: whoever comes now waits in the queue.
      sys::close(client);
      paused_ = sys::unwatch(epoll, listener_.get()) == 0;
      return;
    }
    ucred peer{};
    socklen_t length = sizeof peer;
    const bool ours = ::getsockopt(client, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && peer.uid == ::geteuid();
    if (client >= room_) {
      const int more = client + 64;
      if (void* const moved = std::realloc(flags_, static_cast<unsigned long>(more)); moved != nullptr) {
        flags_ = static_cast<unsigned char*>(moved);
        std::memset(flags_ + room_, 0, static_cast<unsigned long>(more - room_));
        room_ = more;
      }
    }
    if (!ours || client >= room_ ||
        sys::watch(epoll, client, tag | static_cast<unsigned>(client), EPOLLIN | EPOLLRDHUP | EPOLLET) < 0) {
      sys::close(client);
      continue;
    }
    flags_[client] = kClient;
  }
}

bool Control::next_line(int client, std::string_view& line) {
  static char buffer[perdure::contract::kMaxLine];
  if (client >= room_ || flags_[client] == 0) return false;
  const long n = sys::checked(::recv(client, buffer, sizeof buffer, MSG_PEEK | MSG_DONTWAIT));
  if (n == -EAGAIN || n == -EINTR) return false;
  const void* const end = n > 0 ? std::memchr(buffer, '\n', static_cast<unsigned long>(n)) : nullptr;
  if (n <= 0 || (end == nullptr && n == static_cast<long>(sizeof buffer))) {
    close_client(client);
    return false;
  }
  if (end == nullptr) return false;  // the edge that brings the rest wakes us
  const auto length = static_cast<unsigned long>(static_cast<const char*>(end) - buffer);
  if (::recv(client, buffer, length + 1, 0) != static_cast<long>(length) + 1) return false;
  line = {buffer, length};
  return true;
}

void Control::answer(int client, std::string_view line) {
  const auto text = Text<256>() << line << "\n";
  ::send(client, text.c_str(), text.view().size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

void Control::add_waiter(int client) {
  if (client < room_) flags_[client] |= kWaits;
}

void Control::tell_waiters() {
  for (int fd = 0; fd < room_; ++fd)
    if ((flags_[fd] & kWaits) != 0) {
      answer(fd, perdure::contract::kEnded);
      flags_[fd] = kClient;
    }
}

void Control::close_client(int client) {
  if (client >= room_ || flags_[client] == 0) return;
  flags_[client] = 0;
  sys::close(client);
}

void Control::hung_up(int client, bool wholly) {
  if (wholly || (client < room_ && (flags_[client] & kWaits) == 0)) close_client(client);
}

void Control::listen_again() {
  if (paused_) paused_ = sys::watch(epoll_, listener_.get(), listener_tag_) < 0;
}

void Control::unlink(int task_folder) {
  sys::unlink_at(task_folder, perdure::contract::kControlSocket);
}

}  // namespace runner
