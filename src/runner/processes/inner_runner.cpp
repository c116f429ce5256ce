#include "runner/processes/inner_runner.h"

#include "contract/control.h"
#include "contract/names.h"
#include "runner/os/sys.h"
#include "runner/os/text.h"

#include <poll.h>

#include <cstdlib>
#include <cstring>

namespace runner {
namespace {

using namespace perdure::contract;

constexpr int kProbePatienceMs = 200;
constexpr unsigned long kMostPath = 4096;

// The file name of a process's program; "" if the kernel does not tell.
std::string_view program_name(int pid, char (&buffer)[kMostPath]) {
  const auto link = Text<32>() << "/proc/" << static_cast<long>(pid) << "/exe";
  const long n = ::readlink(link.c_str(), buffer, sizeof buffer);
  if (n <= 0) return {};
  std::string_view path(buffer, static_cast<unsigned long>(n));
  constexpr std::string_view kDeleted = " (deleted)";  // appended after an upgrade replaced the file
  if (path.ends_with(kDeleted)) path.remove_suffix(kDeleted.size());
  const auto slash = path.rfind('/');
  return slash == std::string_view::npos ? path : behind(path, slash + 1);
}

// Runs in the prober. Each of these calls may hang: the folder may be on a file system that the task itself serves.
Answer look_at_runner(int pid, Fd& control) {
  static char buffer[kMostPath + 256];
  const Fd environment(
      sys::open_at(AT_FDCWD, (Text<32>() << "/proc/" << static_cast<long>(pid) << "/environ").c_str(), O_RDONLY));
  const std::string_view text = read_all(environment, buffer, sizeof buffer - 1);
  const std::string_view variable(kRunnerVariable);
  if (!text.starts_with(variable) || text.size() <= variable.size() || text[variable.size()] != '=') return Answer::no;
  std::string_view value = behind(text, variable.size() + 1);
  value = first(value, value.find('\0'));
  const auto at = value.find('@');
  if (at == std::string_view::npos) return Answer::no;
  Text<kMostPath + 128> folder;
  folder << behind(value, at + 1) << "/" << kTasksDir << "/" << first(value, at);
  if (!folder.whole()) return Answer::no;
  const Fd dir(sys::open_at(AT_FDCWD, folder.c_str(), O_RDONLY | O_DIRECTORY));
  if (!dir) return Answer::no;

  // A runner that watches leftovers after its task's end holds the other lock.
  const Fd lock(sys::open_at(dir.get(), kRunnerLock, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  const Fd leftover(sys::open_at(dir.get(), kLeftoverLock, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
  if (!(lock && sys::is_locked(lock.get())) && !(leftover && sys::is_locked(leftover.get()))) return Answer::no;

  control = Fd(sys::checked(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)));
  if (!control) return Answer::unknown;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const auto name = Text<sizeof address.sun_path>()
                    << "/proc/self/fd/" << static_cast<long>(dir.get()) << "/" << kControlSocket;
  std::memcpy(address.sun_path, name.c_str(), name.view().size() + 1);
  if (::connect(control.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return errno == EAGAIN ? Answer::yes : Answer::no;  // a full backlog: it exists and does not accept now
  ucred peer{};
  socklen_t length = sizeof peer;
  if (::getsockopt(control.get(), SOL_SOCKET, SO_PEERCRED, &peer, &length) != 0 || peer.pid != pid) return Answer::no;
  return Answer::yes;
}

void send_answer(int socket, Answer answer, int control) {
  char word = static_cast<char>(answer);
  iovec part{&word, 1};
  alignas(cmsghdr) char room[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (answer == Answer::yes) {
    message.msg_control = room;
    message.msg_controllen = sizeof room;
    cmsghdr* const head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(head), &control, sizeof control);
  }
  ::sendmsg(socket, &message, MSG_NOSIGNAL);
}

Answer receive_answer(int socket, int* control) {
  pollfd ready{.fd = socket, .events = POLLIN, .revents = 0};
  // A process that can't be identified as a runner is part of the task.
  if (::poll(&ready, 1, kProbePatienceMs) <= 0) return Answer::no;
  char word = 0;
  iovec part{&word, 1};
  alignas(cmsghdr) char room[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = room;
  message.msg_controllen = sizeof room;
  if (::recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_DONTWAIT) != 1) return Answer::no;
  const cmsghdr* const head = CMSG_FIRSTHDR(&message);
  const bool has_control = head != nullptr && head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS;
  if (has_control) std::memcpy(control, CMSG_DATA(head), sizeof *control);
  const auto answer = static_cast<Answer>(word);
  return answer == Answer::yes && !has_control ? Answer::unknown : answer;
}

}  // namespace

std::string_view read_all(const Fd& fd, char* into, unsigned long size) {
  unsigned long have = 0;
  while (fd && have < size) {
    const long n = sys::read(fd.get(), into + have, size - have);
    if (n == -EINTR) continue;
    if (n <= 0) break;
    have += static_cast<unsigned long>(n);
  }
  return {into, have};
}

bool is_scarcity(int error) {
  return error == -EMFILE || error == -ENFILE || error == -ENOMEM;
}

bool is_same_program(int pid) {
  static char own[kMostPath], other[kMostPath];
  static const std::string_view own_name = program_name(sys::own_pid(), own);
  return !own_name.empty() && program_name(pid, other) == own_name;
}

Answer probe_runner(int pid, int* control, int* prober) {
  *control = -1;
  *prober = 0;
  int ends[2];
  if (const int e = sys::checked(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends)); e < 0)
    return Answer::unknown;
  const Fd ours(ends[0]);
  Fd theirs(ends[1]);
  const int child = sys::fork();
  if (child < 0) return Answer::unknown;
  if (child == 0) {
    // Closes all descriptors of the runner: this process must not keep any lock held.
    ::dup2(theirs.get(), 0);
    ::syscall(SYS_close_range, 1, ~0U, 0);
    Fd found;
    const Answer answer = look_at_runner(pid, found);
    send_answer(0, answer, found.get());
    sys::exit(0);
  }
  theirs.reset();
  const Answer answer = receive_answer(ours.get(), control);
  ::kill(child, SIGKILL);
  const timespec a_moment{0, 1'000'000};
  for (int attempt = 0; attempt < 20; ++attempt) {
    if (sys::reap(child) != 0) return answer;
    ::nanosleep(&a_moment, nullptr);
  }
  *prober = child;  // it hangs in the kernel, and no signal reaches it
  return answer;
}

OwnerRequests::~OwnerRequests() {
  for (unsigned i = 0; i < used_; ++i)
    if (all_[i].fd >= 0) sys::close(all_[i].fd);
  std::free(all_);
}

void OwnerRequests::add(int control) {
  if (used_ == room_) {
    const unsigned more = room_ + 16;
    void* const moved = std::realloc(all_, more * sizeof(Asked));
    if (moved == nullptr) return;
    all_ = static_cast<Asked*>(moved);
    room_ = more;
  }
  const int fd = sys::checked(::fcntl(control, F_DUPFD_CLOEXEC, 0));
  if (fd >= 0) all_[used_++] = {fd, 0};
}

bool OwnerRequests::send_next(Asked& one) {
  while (one.next_name < 2 && names_[one.next_name].empty()) ++one.next_name;
  if (one.next_name == 2) return false;
  const auto request = Text<1024>() << kStopOwned << " " << grace_ms_ << " " << names_[one.next_name++] << "\n";
  const auto size = static_cast<long>(request.view().size());
  return ::send(one.fd, request.c_str(), request.view().size(), MSG_NOSIGNAL | MSG_DONTWAIT) == size;
}

int OwnerRequests::send_and_count(long patience_ms) {
  int owned = 0;
  unsigned waiting = 0;
  const auto give_up = [](Asked& one) {
    sys::close(one.fd);
    one.fd = -1;
  };
  for (unsigned i = 0; i < used_; ++i) {
    if (send_next(all_[i])) {
      ++waiting;
    } else {
      give_up(all_[i]);
    }
  }
  auto* const fds = static_cast<pollfd*>(std::calloc(used_ + 1UL, sizeof(pollfd)));
  const std::int64_t until = sys::now_us(CLOCK_MONOTONIC) + patience_ms * 1000;
  while (fds != nullptr && waiting > 0) {
    for (unsigned i = 0; i < used_; ++i) fds[i] = {.fd = all_[i].fd, .events = POLLIN, .revents = 0};
    const std::int64_t left = (until - sys::now_us(CLOCK_MONOTONIC)) / 1000;
    if (left <= 0 || ::poll(fds, used_, static_cast<int>(left)) == 0) break;
    for (unsigned i = 0; i < used_; ++i) {
      if (fds[i].fd < 0 || fds[i].revents == 0) continue;
      char answer[8] = {};
      const long n = ::recv(fds[i].fd, answer, sizeof answer - 1, MSG_DONTWAIT);
      if (n > 0 && answer[0] == 'o') ++owned;
      if (n > 0 && answer[0] != 'o' && send_next(all_[i])) continue;
      give_up(all_[i]);
      --waiting;
    }
  }
  std::free(fds);
  return owned;
}

}  // namespace runner
