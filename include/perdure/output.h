#pragma once

#include <perdure/task.h>

namespace perdure {

/// A window of a task's output. Offsets count bytes of the stream that the command wrote.
struct OutputChunk {
  std::string bytes = {};        ///< exactly as written; may hold any byte
  std::int64_t offset = 0;       ///< of the first byte returned
  std::int64_t next_offset = 0;  ///< where the next read goes on
  std::int64_t size = 0;         ///< bytes of the stream so far
  std::int64_t dropped = 0;      ///< bytes of the stream that were not kept
  bool eof = false;              ///< the task has ended and next_offset is its end
  std::int64_t missing = 0;      ///< bytes that were written and are no longer in the log: another program cut it (L56)
};

/// The end of a task's output, as `show` and agents see it.
struct OutputSnapshot {
  std::optional<std::string> path = {};  ///< absolute path of the log; absent when there is none
  std::int64_t size_bytes = 0;
  std::int64_t preview_bytes = 0;      ///< bytes in `preview`
  bool truncated = false;              ///< the preview is not the whole output
  bool full_output_available = false;  ///< every byte of the stream is in the log
  std::int64_t dropped_bytes = 0;
  std::string preview = {};  ///< valid UTF-8, cut at character boundaries
  std::int64_t next_offset = 0;
  bool eof = false;
  std::int64_t missing_bytes = 0;  ///< as OutputChunk::missing
};

}  // namespace perdure
