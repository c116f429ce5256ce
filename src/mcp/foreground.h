#pragma once

#include "mcp/tool.h"

#include <chrono>

namespace perdure::mcp {

/// How a foreground command let its caller go.
struct Released {
  enum class How { ended, moved_to_background, interrupted };
  How how = How::ended;
  Task task;
};

/// Runs a command while the caller waits, for at most `patience`; then it goes on in the background, with
/// `start.timeout` as its deadline from there on. Progress is reported once a second where that is wanted.
/// A call that is cancelled stops the command; one whose client has gone leaves it in the background.
[[nodiscard]] Result<Released> run_in_foreground(ToolCall& call, const StartOptions& start,
                                                 std::chrono::milliseconds patience);

/// Called when the whole output of a command that ended in the foreground was answered: nothing of it stays.
void forget(ToolCall& call, const Task& task);

}  // namespace perdure::mcp
