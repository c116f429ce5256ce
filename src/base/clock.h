#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace perdure {

/// Milliseconds since the epoch. May jump when the clock is set.
[[nodiscard]] std::int64_t now_ms();

/// Converts a point in time to the number in records and protocols, and back.
[[nodiscard]] constexpr std::int64_t ms_of(std::chrono::sys_time<std::chrono::milliseconds> time) {
  return time.time_since_epoch().count();
}
[[nodiscard]] constexpr std::chrono::sys_time<std::chrono::milliseconds> time_at(std::int64_t ms) {
  return std::chrono::sys_time<std::chrono::milliseconds>(std::chrono::milliseconds(ms));
}
template <class T>
[[nodiscard]] constexpr auto ms_of(const std::optional<T>& time) {
  return time ? std::optional(ms_of(*time)) : std::nullopt;
}
template <class T>
[[nodiscard]] constexpr auto time_at(const std::optional<T>& ms) {
  return ms ? std::optional(time_at(*ms)) : std::nullopt;
}

/// Milliseconds on a clock that never jumps; suspended time does not count.
[[nodiscard]] std::int64_t steady_ms();

/// When this machine booted, ms since the epoch, accurate to about a second; 0 if unknown.
[[nodiscard]] std::int64_t boot_time_ms();

/// Identifies this boot of this machine; "" if unknown. Read once.
[[nodiscard]] const std::string& boot_id();

/// Identifies this machine; "" if unknown. Read once.
[[nodiscard]] const std::string& machine_id();

/// Identifies the pid namespace of this process: the inode of /proc/self/ns/pid; "" if unknown. Read once.
[[nodiscard]] const std::string& own_pid_namespace();

}  // namespace perdure
