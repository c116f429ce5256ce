#pragma once

#include "mcp/service/tool.h"

#include <chrono>

namespace perdure::mcp {

/// How a foreground command returned to its caller.
struct Outcome {
  enum class How { ended, moved_to_background, interrupted };
  How how = How::ended;
  Task task;
  std::string why;  ///< moved to the background: the reason as text
};

/// Runs a command while the caller waits, for at most `patience`; then it continues in the background, with a deadline
/// of `afterwards` from there on. Reports progress once a second if requested. If the call is cancelled, the command is
/// stopped; if the client disconnects, it continues in the background.
[[nodiscard]] Result<Outcome> run_in_foreground(ToolCall& call, StartOptions start, std::chrono::seconds patience,
                                                std::chrono::seconds afterwards);

}  // namespace perdure::mcp
