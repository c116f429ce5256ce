#pragma once

#include "runner/os/fd.h"
#include "runner/output/idle.h"

#include <csignal>
#include <cstdint>

namespace runner {

/// The sources of events.
enum class Source : unsigned { output = 1, signals, timer, idle, listener, client, caller, stream, awaited };

/// An epoll instance, and a signalfd for the signals.
struct Loop {
  Fd epoll, signals;

  static std::uint64_t tag(Source source) { return static_cast<std::uint64_t>(source) << 32; }
  static Source source_of(const epoll_event& event) { return static_cast<Source>(event.data.u64 >> 32); }
  /// For a client: the descriptor, which is part of the event's tag.
  static int client_of(const epoll_event& event) { return static_cast<int>(event.data.u64 & 0xFFFFFFFFU); }

  [[nodiscard]] int open() {
    sigset_t mine;
    ::sigemptyset(&mine);
    ::sigaddset(&mine, SIGCHLD);
    ::sigaddset(&mine, SIGTERM);
    signals = Fd(sys::checked(::signalfd(-1, &mine, SFD_CLOEXEC | SFD_NONBLOCK)));
    if (!signals) return signals.get();
    epoll = Fd(sys::epoll());
    return epoll ? watch(signals.get(), Source::signals) : epoll.get();
  }
  /// 0 or -errno.
  [[nodiscard]] int watch(int fd, Source source, unsigned events = EPOLLIN) const {
    return sys::watch(epoll.get(), fd, tag(source), events);
  }
  /// Where a failure can't be handled: best effort.
  void try_to_watch(int fd, Source source, unsigned events = EPOLLIN) const {
    sys::watch(epoll.get(), fd, tag(source), events);
  }
  void unwatch(int fd) const { sys::unwatch(epoll.get(), fd); }
};

/// The two timers. The state of the task says what the first is armed for (life.h); the second is the idle timeout.
struct Deadlines {
  Fd timer;
  Idle idle;

  [[nodiscard]] int open(bool with_idle) {
    timer = Fd(sys::timer());
    if (!timer) return timer.get();
    return with_idle ? idle.open() : 0;
  }
  void arm(long ms) const { sys::arm(timer.get(), ms); }
  void disarm() const { sys::arm(timer.get(), 0); }
  /// False: it has not expired, or was armed again since.
  [[nodiscard]] bool has_fired() const {
    std::uint64_t times = 0;
    return sys::read(timer.get(), &times, sizeof times) >= 0;
  }
};

}  // namespace runner
