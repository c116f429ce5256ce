#pragma once

#include "far/far_task.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

// What a place prints, read.
namespace perdure::manager {

/// A line that `perdure mirror` prints: a word, an id, numbers.
struct Frame {
  std::string word, id;
  std::int64_t offset = 0, bytes = 0;
};
inline constexpr std::size_t kMostFrame = 16 << 20;  // bytes behind a line
[[nodiscard]] Frame frame_of(std::string_view line);

/// A record as it is printed there, whatever it is called.
[[nodiscard]] Result<Task> decode_any(std::string_view json);

/// What is printed of a task that waits there, too: a task of an executor of that host.
struct WaitingThere {
  std::string id;
  std::optional<std::string> state, reason;
};
[[nodiscard]] std::optional<WaitingThere> waiting_in(std::string_view json);

/// Writes down that the task waits there, and in which state. The task as it is shown from then on.
[[nodiscard]] Result<Task> note_waiting(const store::Session& session, const TaskId& id, const WaitingThere& waiting);

/// Without line ends.
[[nodiscard]] std::string last_line(std::string_view text);

}  // namespace perdure::manager
