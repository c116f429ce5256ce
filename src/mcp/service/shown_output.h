#pragma once

#include "mcp/service/tool.h"

#include <optional>
#include <string>

namespace perdure::mcp {

/// A part of a task's output, as a model reads it: without escape sequences, redrawn and repeated lines collapsed
/// (base/readable.h); exactly, where that is asked for.
struct ShownOutput {
  std::string text;              ///< valid UTF-8
  std::int64_t size = 0;         ///< bytes of the whole stream so far
  std::int64_t dropped = 0;      ///< bytes of the stream that are not kept
  std::int64_t next_offset = 0;  ///< where a next read goes on
  bool eof = false;              ///< nothing will come behind next_offset
  bool is_whole = true;          ///< `text` is all of the stream, but for what was collapsed
  bool is_window = false;        ///< read by offset
  std::string collapsed;         ///< in words, what was left out of the part; "" for nothing
  std::optional<std::string> path;
  std::string failure;  ///< of a task that failed: the line that names the cause, where `text` does not hold it
};

/// At most `tail` bytes of the end, and no more than the client shows.
[[nodiscard]] Result<ShownOutput> show_tail(const Service& service, const Caller& caller, const Task& task,
                                            std::int64_t tail, bool exact = false);

/// At most `limit` bytes from `offset` on. A character that the end of the window cuts is left for the next.
[[nodiscard]] Result<ShownOutput> show_window(const Service& service, const Caller& caller, const Task& task,
                                              std::int64_t offset, std::optional<std::int64_t> limit, bool exact);

/// What TaskOutput answers: `output` first, then the facts. `retrieval_status` is left out where it is empty.
[[nodiscard]] json::object answer_members(const Caller& caller, const Task& task, const ShownOutput& shown,
                                          std::string_view retrieval_status);

/// The members of such an answer as text: the output, then at most five short lines.
[[nodiscard]] std::string answer_text(const json::object& members);

}  // namespace perdure::mcp
