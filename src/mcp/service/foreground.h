#pragma once

#include "mcp/service/tool.h"

#include <chrono>

namespace perdure::mcp {

/// How a foreground command let its caller go.
struct Outcome {
  enum class How { ended, moved_to_background, interrupted };
  How how = How::ended;
  Task task;
  std::string why;  ///< moved: in words
};

/// Runs a command while the caller waits, for at most `patience`; then it goes on in the background, with a deadline of
/// `afterwards` from there on. Progress is reported once a second where that is wanted. A call that is cancelled stops
/// the command; one whose client has gone leaves it in the background.
[[nodiscard]] Result<Outcome> run_in_foreground(ToolCall& call, StartOptions start, std::chrono::seconds patience,
                                                std::chrono::seconds afterwards);

}  // namespace perdure::mcp
