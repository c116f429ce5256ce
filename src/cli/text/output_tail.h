#pragma once

#include <perdure/manager.h>

#include <cstdint>
#include <optional>

namespace perdure::cli {

/// How much of the end of an output is wanted: a number of lines or, without one, of bytes.
struct TailLength {
  std::optional<std::int64_t> lines = {};
  std::int64_t bytes = 0;
};

/// The last kept lines or bytes of a task's output. Starts at a line if that loses less than the whole, else at a
/// character.
[[nodiscard]] Result<OutputChunk> read_tail(const TaskManager& manager, const TaskId& id, const TailLength& length);

}  // namespace perdure::cli
