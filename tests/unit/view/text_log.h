#pragma once

#include "base/error.h"
#include "view/log.h"

#include <fmt/format.h>

#include <algorithm>
#include <string>

namespace perdure::view {

/// A log in memory, of which a part may not have been kept.
struct TextLog {
  std::string text;
  std::int64_t gap_at = -1, gap_end = -1;
  bool ended = true;
  mutable std::int64_t reads = 0;

  [[nodiscard]] Read read() const {
    return [this](std::int64_t offset, std::int64_t limit) -> Result<OutputChunk> {
      ++reads;
      const auto size = static_cast<std::int64_t>(text.size());
      if (offset >= gap_at && offset < gap_end) {
        auto expired = fail(ErrorCode::output_expired, "not kept");
        Error error = expired.error();
        error.details["nextOffset"] = fmt::to_string(gap_end);
        return std::unexpected(error);
      }
      std::int64_t end = std::min(size, offset + limit);
      if (offset < gap_at) end = std::min(end, gap_at);
      OutputChunk chunk{.offset = offset, .next_offset = offset, .size = size};
      if (offset < size) {
        chunk.bytes = text.substr(static_cast<std::size_t>(offset), static_cast<std::size_t>(end - offset));
        chunk.next_offset = end;
      }
      chunk.eof = ended && chunk.next_offset >= size;
      return chunk;
    };
  }
};

/// "line 0\nline 1\n..."
inline std::string numbered_lines(int count) {
  std::string text;
  for (int i = 0; i < count; ++i) text += fmt::format("line {}\n", i);
  return text;
}

}  // namespace perdure::view
