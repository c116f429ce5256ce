#pragma once

#include "store/output_log.h"
#include <perdure/manager.h>

#include <optional>
#include <string>

namespace perdure::manager {

/// The end of a log as text.
struct Preview {
  std::string text;      ///< valid UTF-8, at most as long as was asked for
  std::int64_t end = 0;  ///< offset behind it; while a task runs an incomplete character waits for its rest
  bool whole = false;    ///< all that is kept of the output
};

/// The last `limit` bytes at most, cut at characters.
[[nodiscard]] Result<Preview> preview_of(const store::OutputLog& log, std::int64_t limit, bool ended);

/// The last `limit` bytes at most of an ended task's output; "" where nothing can be read.
[[nodiscard]] std::string output_tail(const store::Session& session, const Task& task, std::int64_t limit);

}  // namespace perdure::manager
