#pragma once

#include "mcp/service/tool.h"

#include <optional>
#include <string>

namespace perdure::mcp {

/// A part of a task's output for a model: without escape sequences, redrawn and repeated lines collapsed
/// (base/readable.h); or unchanged, if requested.
struct ShownOutput {
  std::string text;              ///< valid UTF-8
  std::int64_t size = 0;         ///< bytes of the whole stream so far
  std::int64_t dropped = 0;      ///< bytes of the stream that were dropped
  std::int64_t next_offset = 0;  ///< where the next read continues
  bool eof = false;              ///< no output will come after next_offset
  bool is_whole = true;          ///< `text` is the whole stream, except for collapsed parts
  bool is_window = false;        ///< read by offset
  std::string collapsed;         ///< what was left out of the part, as text; "" for nothing
  std::optional<std::string> path;
  std::string failure;  ///< for a failed task: the line that names the cause, if `text` does not contain it
};

/// At most `tail` bytes of the end, and no more than the client shows.
[[nodiscard]] Result<ShownOutput> show_tail(const Service& service, const Caller& caller, const Task& task,
                                            std::int64_t tail, bool exact = false);

/// At most `limit` bytes from `offset` on. A character cut by the end of the window is left to the next read.
[[nodiscard]] Result<ShownOutput> show_window(const Service& service, const Caller& caller, const Task& task,
                                              std::int64_t offset, std::optional<std::int64_t> limit, bool exact);

/// The result of TaskOutput: `output` first, then the facts. `retrieval_status` is left out if it is empty.
[[nodiscard]] json::object answer_members(const Caller& caller, const Task& task, const ShownOutput& shown,
                                          std::string_view retrieval_status);

/// The members of such a result as text: the output, then at most five short lines.
[[nodiscard]] std::string answer_text(const json::object& members);

}  // namespace perdure::mcp
