#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace perdure {

/// Milliseconds since the epoch; may step when somebody sets the clock.
[[nodiscard]] std::int64_t now_ms();

/// A point in time as a number, as records and protocols have it, and back.
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

/// Milliseconds on a clock that never steps; time asleep does not count.
[[nodiscard]] std::int64_t steady_ms();

/// When this machine booted, ms since the epoch, to within a second or so; 0 if unknown.
[[nodiscard]] std::int64_t boot_time_ms();

/// Names this boot of this machine; "" if unknown. Read once.
[[nodiscard]] const std::string& boot_id();

/// Names this machine; "" if unknown. Read once.
[[nodiscard]] const std::string& machine_id();

/// Names the pid namespace of this process, the inode of /proc/self/ns/pid; "" if unknown. Read once.
[[nodiscard]] const std::string& own_pid_namespace();

}  // namespace perdure
