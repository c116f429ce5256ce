#pragma once

// The system calls that the runner makes. Each wrapper returns the call's value or a negated errno, so that a failure
// is an int that can be returned, compared and recorded.

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <sched.h>

namespace sys {

template <class T>
inline T checked(T value) {
  return value < 0 ? static_cast<T>(-errno) : value;
}

// Never blocks: a FIFO in the place of a file opens at once, and reads and writes of it fail (L53). For regular files
// O_NONBLOCK means nothing.
inline int open_at(int folder, const char* name, int flags, unsigned mode = 0600) {
  return checked(::openat(folder, name, flags | O_CLOEXEC | O_NONBLOCK, mode));
}
inline void close(int fd) {
  ::close(fd);  // never retried: the descriptor is free even after EINTR
}
inline long read(int fd, void* into, unsigned long n) {
  return checked(::read(fd, into, n));
}
inline long write(int fd, const void* from, unsigned long n) {
  return checked(::write(fd, from, n));
}
/// The parts one behind the other, in one call.
inline long write_parts(int fd, const iovec* parts, int count) {
  return checked(::writev(fd, parts, count));
}
inline long write_at(int fd, const void* from, unsigned long n, long at) {
  return checked(::pwrite(fd, from, n, at));
}
/// The parts one behind the other.
inline long write_parts_at(int fd, const iovec* parts, int count, long at) {
  return checked(::pwritev(fd, parts, count, at));
}
inline long read_at(int fd, void* into, unsigned long n, long at) {
  return checked(::pread(fd, into, n, at));
}
inline int sync(int fd) {
  return checked(::fsync(fd));
}
inline int reserve(int fd, long bytes) {
  return -::posix_fallocate(fd, 0, bytes);
}
inline int cut(int fd, long bytes) {
  return checked(::ftruncate(fd, bytes));
}
inline int rename_at(int from_folder, const char* from, int to_folder, const char* to) {
  return checked(::renameat(from_folder, from, to_folder, to));
}
inline int unlink_at(int folder, const char* name, int flags = 0) {
  return checked(::unlinkat(folder, name, flags));
}
inline int make_folder_at(int folder, const char* name) {
  return checked(::mkdirat(folder, name, 0700));
}
inline int open_or_make_folder_at(int folder, const char* name) {
  constexpr int kHow = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
  const int there = open_at(folder, name, kHow);
  if (there != -ENOENT) return there;
  if (const int e = make_folder_at(folder, name); e < 0 && e != -EEXIST) return e;
  return open_at(folder, name, kHow);
}
// An empty regular file; -EEXIST where the name is in use.
inline int make_file_at(int folder, const char* name) {
  return checked(::mknodat(folder, name, S_IFREG | 0600, 0));
}
// An unnamed file in memory.
inline int make_memory_file(const char* name) {
  return checked(::memfd_create(name, MFD_CLOEXEC));
}
// Takes a number of bytes from the start of a folder's list; 0 at its end.
inline long list(int folder, void* into, unsigned long n) {
  return checked(::syscall(SYS_getdents64, folder, into, n));
}
struct DirEntry {  // linux_dirent64, which libc does not declare
  std::uint64_t ino;
  std::int64_t off;
  unsigned short length;
  unsigned char type;
  char name[1];
};
inline int pipe(int (&ends)[2]) {
  return checked(::pipe2(ends, O_CLOEXEC));
}
inline int set_nonblocking(int fd) {
  const int flags = ::fcntl(fd, F_GETFL);
  return flags < 0 ? -errno : checked(::fcntl(fd, F_SETFL, flags | O_NONBLOCK));
}
inline int bytes_waiting(int fd) {
  int n = 0;
  return ::ioctl(fd, FIONREAD, &n) < 0 ? -errno : n;
}
inline int lock(int fd, bool wait) {
  struct flock whole{};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  return checked(::fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &whole));
}
inline bool is_locked(int fd) {
  struct flock whole{};
  whole.l_type = F_WRLCK;
  whole.l_whence = SEEK_SET;
  return ::fcntl(fd, F_OFD_GETLK, &whole) == 0 && whole.l_type != F_UNLCK;
}

inline int known_pid = 0;
/// Of this process, asked for once.
inline int own_pid() {
  if (known_pid == 0) known_pid = ::getpid();
  return known_pid;
}
/// The child may do what a child of vfork() may, and change its own memory. Not the C library's fork(), which blocks all
/// signals twice and puts its threads in order, of which there is one: seven calls more.
inline int fork() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  const auto pid = static_cast<int>(checked(::fork()));
#else
  const auto pid = static_cast<int>(checked(::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, nullptr)));
#endif
  if (pid == 0) known_pid = 0;
  return pid;
}
[[noreturn]] inline void exit(int code) {
  ::_exit(code);
}
inline int pidfd_open(int pid) {
  return checked(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}
inline int pidfd_signal(int pidfd, int signal) {
  return checked(static_cast<int>(::syscall(SYS_pidfd_send_signal, pidfd, signal, nullptr, 0)));
}
// kill(-1) would signal every process: group must be above 1.
inline int kill_group(int leader, int signal) {
  return leader > 1 ? checked(::kill(-leader, signal)) : -ESRCH;
}
// Reads how a child ended and leaves its zombie; 0 and info.si_pid == 0: it has not ended.
inline int look_at_end(int pid, siginfo_t& info) {
  info.si_pid = 0;
  return checked(::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG | WNOWAIT));
}
inline int reap(int pid) {
  siginfo_t info{};
  const int e = checked(::waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOHANG));
  return e < 0 ? e : info.si_pid;
}
inline bool has_children() {
  siginfo_t info{};
  return ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

inline int epoll() {
  return checked(::epoll_create1(EPOLL_CLOEXEC));
}
inline int watch(int epoll, int fd, std::uint64_t tag, unsigned events = EPOLLIN) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = tag;
  return checked(::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
}
inline int unwatch(int epoll, int fd) {
  return checked(::epoll_ctl(epoll, EPOLL_CTL_DEL, fd, nullptr));
}
inline int wait_events(int epoll, epoll_event* events, int n, int timeout_ms) {  // -1: for ever
  return checked(::epoll_wait(epoll, events, n, timeout_ms));
}
inline int timer() {
  return checked(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
}
inline int arm(int timer, long ms) {  // 0 disarms
  itimerspec when{};
  when.it_value.tv_sec = ms / 1000;
  when.it_value.tv_nsec = ms % 1000 * 1'000'000;
  return checked(::timerfd_settime(timer, 0, &when, nullptr));
}
inline std::int64_t now_us(clockid_t clock) {
  timespec t{};
  ::clock_gettime(clock, &t);
  return std::int64_t{t.tv_sec} * 1'000'000 + t.tv_nsec / 1000;
}
inline std::int64_t now_ms() {
  return now_us(CLOCK_REALTIME) / 1000;
}

}  // namespace sys
