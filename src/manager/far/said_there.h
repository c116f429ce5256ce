#pragma once

#include "far/far_task.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// Parses what another host prints.
namespace perdure::manager {

/// A line of `perdure mirror`: a word, an id, numbers.
struct Frame {
  std::string word, id;
  std::int64_t offset = 0, bytes = 0;
};
inline constexpr std::size_t kMostFrame = 16 << 20;  // bytes after a line
[[nodiscard]] Frame frame_of(std::string_view line);

/// A record as printed there, under the local id.
[[nodiscard]] Result<Task> decode_any(std::string_view json);

/// The same for a task that waits there, too: one of an executor of that host.
struct WaitingThere {
  std::string id;
  std::optional<std::string> state, reason;
};
[[nodiscard]] std::optional<WaitingThere> waiting_in(std::string_view json);

/// Notes that the task waits there, and in which state. Returns the task for display.
[[nodiscard]] Result<Task> note_waiting(const store::Session& session, const TaskId& id, const WaitingThere& waiting);

/// Without line ends.
[[nodiscard]] std::string last_line(std::string_view text);

}  // namespace perdure::manager
