#include "runner/control/control.h"

#include "contract/control.h"
#include "contract/names.h"
#include "contract/output_marker.h"
#include "runner/os/text.h"

#include <sys/uio.h>

#include <cstdlib>
#include <cstring>

namespace runner {
namespace {

constexpr unsigned char kClient = 1;
constexpr int kMostDescriptors = perdure::contract::kMostSegments + 2;
constexpr int kBacklog = 256;
constexpr int kKeptFree = 24;  // descriptors reserved for the log, the record and the tree

}  // namespace

Control::~Control() {
  for (int fd = 0; fd < room_; ++fd) std::free(insides_[fd]);
  std::free(static_cast<void*>(insides_));
  std::free(flags_);
}

int Control::open(int task_folder) {
  listener_ = Fd(sys::checked(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)));
  if (!listener_) return listener_.get();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // Through the folder's descriptor: a full path may be longer than a socket address can be.
  const auto name = Text<sizeof address.sun_path>()
                    << "/proc/self/fd/" << task_folder << "/" << perdure::contract::kControlSocket;
  std::memcpy(address.sun_path, name.c_str(), name.view().size() + 1);
  const auto bind = [&] {
    return sys::checked(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address));
  };
  int e = bind();
  if (e == -EADDRINUSE) {  // of a killed runner
    sys::unlink_at(task_folder, perdure::contract::kControlSocket);
    e = bind();
  }
  if (e < 0) return e;
  return sys::checked(::listen(listener_.get(), kBacklog));
}

void Control::accept(int epoll, unsigned long long tag) {
  while (true) {
    const int client = sys::checked(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (client == -EINTR || client == -ECONNABORTED) continue;
    if (client == -EMFILE || client == -ENFILE || client == -ENOMEM || client == -ENOBUFS) {
      // The listener stays readable, which would wake the loop for ever: listening resumes a little later.
      paused_ = sys::unwatch(epoll, listener_.get()) == 0;
      return;
    }
    if (client < 0) return;
    if (client > most()) {
      // The log, the record and the tree need descriptors, too: further clients wait in the socket's backlog.
      sys::close(client);
      paused_ = sys::unwatch(epoll, listener_.get()) == 0;
      return;
    }
    ucred peer{};
    socklen_t length = sizeof peer;
    const bool ours = ::getsockopt(client, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && peer.uid == ::geteuid();
    if (!ours || !make_room(client) ||
        sys::watch(epoll, client, tag | static_cast<unsigned>(client), EPOLLIN | EPOLLRDHUP | EPOLLET) < 0) {
      sys::close(client);
      continue;
    }
    flags_[client] = kClient;
  }
}

int Control::most() {
  rlimit files{};
  if (most_ == 0)
    most_ = ::getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < INT32_MAX
                ? static_cast<int>(files.rlim_cur) - kKeptFree
                : INT32_MAX;
  return most_;
}

bool Control::make_room(int client) {
  if (client < room_) return true;
  const auto more = static_cast<unsigned long>(client) + 64;
  void* const flags = std::realloc(flags_, more);
  if (flags != nullptr) flags_ = static_cast<unsigned char*>(flags);
  void* const insides = flags != nullptr ? std::realloc(static_cast<void*>(insides_), more * sizeof(char*)) : nullptr;
  if (insides == nullptr) return false;
  insides_ = static_cast<char**>(insides);
  for (unsigned long fd = static_cast<unsigned long>(room_); fd < more; ++fd) {
    flags_[fd] = 0;
    insides_[fd] = nullptr;
  }
  room_ = static_cast<int>(more);
  return true;
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
  if (end == nullptr) return false;  // edge-triggered: the rest of the line wakes the loop again
  const auto length = static_cast<unsigned long>(static_cast<const char*>(end) - buffer);
  if (::recv(client, buffer, length + 1, 0) != static_cast<long>(length) + 1) return false;
  line = {buffer, length};
  return true;
}

void Control::answer(int client, std::string_view line, const int* fds, int count) {
  char end = '\n';
  iovec parts[2] = {{const_cast<char*>(line.data()), line.size()}, {&end, 1}};
  alignas(cmsghdr) char room[CMSG_SPACE(sizeof(int) * kMostDescriptors)] = {};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  if (count > 0 && count <= kMostDescriptors) {
    const auto bytes = sizeof(int) * static_cast<unsigned>(count);
    message.msg_control = room;
    message.msg_controllen = CMSG_SPACE(bytes);
    cmsghdr* const head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(bytes);
    std::memcpy(CMSG_DATA(head), fds, bytes);
  }
  ::sendmsg(client, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

void Control::answer_result(int client, int e) {
  if (e == 0) return answer(client, perdure::contract::kOk);
  answer(client, (Text<32>() << perdure::contract::kError << " " << static_cast<long>(-e)).view());
}

void Control::answer_waiters(int client) {
  auto ids = Text<perdure::contract::kMaxLine>() << perdure::contract::kWaiters;
  for (int fd = 0; fd < room_; ++fd)
    if ((flags_[fd] & awaits_end) != 0 && insides_[fd] != nullptr) ids << " " << insides_[fd];
  answer(client, ids.view());
}

void Control::add_waiter(int client, Awaits what, std::string_view inside) {
  if (!make_room(client)) return;
  flags_[client] |= kClient | what;
  if (inside.empty() || insides_[client] != nullptr) return;
  auto* const copy = static_cast<char*>(std::malloc(inside.size() + 1));
  if (copy == nullptr) return;
  std::memcpy(copy, inside.data(), inside.size());
  copy[inside.size()] = '\0';
  insides_[client] = copy;
}

void Control::tell(Awaits whom, std::string_view line, const int* fds, int count) {
  for (int fd = 0; fd < room_; ++fd)
    if ((flags_[fd] & whom) != 0) {
      answer(fd, line, fds, count);
      flags_[fd] = static_cast<unsigned char>(flags_[fd] & ~static_cast<unsigned>(whom));
    }
}

void Control::forget(int client) {
  if (client < 0 || client >= room_) return;
  flags_[client] = 0;
  std::free(insides_[client]);
  insides_[client] = nullptr;
}

void Control::close_client(int client) {
  if (client >= room_ || flags_[client] == 0) return;
  forget(client);
  sys::close(client);
}

void Control::hung_up(int client, bool wholly) {
  if (wholly || (client < room_ && flags_[client] == kClient)) close_client(client);
}

void Control::listen_again() {
  if (paused_) paused_ = sys::watch(epoll_, listener_.get(), listener_tag_) < 0;
}

void Control::unlink(int task_folder) {
  sys::unlink_at(task_folder, perdure::contract::kControlSocket);
  sys::unlink_at(task_folder, perdure::contract::kInputLock);
}

}  // namespace runner
