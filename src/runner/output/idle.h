#pragma once

#include "runner/os/fd.h"

#include <cstdint>

namespace runner {

/// Notices that there was no output for a while. Output only notes the time; when the timer expires, it is armed for
/// the rest. So a chatty command costs no system call for each of its lines.
class Idle {
 public:
  [[nodiscard]] int open() {
    timer_ = Fd(sys::timer());
    return timer_ ? 0 : timer_.get();
  }
  /// Below 0 before open().
  [[nodiscard]] int fd() const { return timer_.get(); }

  /// 0 ms: never.
  void start(std::int64_t most_ms) {
    most_us_ = most_ms * 1000;
    saw_output();
    if (most_ms > 0) sys::arm(timer_.get(), most_ms);
  }
  void saw_output() {
    if (most_us_ > 0) last_us_ = sys::now_us(CLOCK_MONOTONIC);
  }
  void stop() {
    if (timer_) sys::arm(timer_.get(), 0);
  }

  /// Call when the timer is readable. True: there was no output for the whole time.
  [[nodiscard]] bool is_over() {
    std::uint64_t fired = 0;
    if (sys::read(timer_.get(), &fired, sizeof fired) < 0) return false;
    const std::int64_t left_us = last_us_ + most_us_ - sys::now_us(CLOCK_MONOTONIC);
    if (left_us <= 0) return true;
    sys::arm(timer_.get(), (left_us + 999) / 1000);
    return false;
  }

 private:
  Fd timer_;
  std::int64_t most_us_ = 0, last_us_ = 0;
};

}  // namespace runner
