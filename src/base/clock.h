#pragma once

#include <cstdint>
#include <string>

namespace perdure {

/// Milliseconds since the epoch; may step when somebody sets the clock.
[[nodiscard]] std::int64_t now_ms();

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
