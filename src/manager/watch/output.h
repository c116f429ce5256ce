#pragma once

#include "store/output_log.h"
#include <perdure/manager.h>

#include <optional>
#include <string>

namespace perdure::manager {

/// The end of a log as text.
struct Preview {
  std::string text;      ///< valid UTF-8, at most the requested length
  std::int64_t end = 0;  ///< the offset after it; while the task runs, an incomplete character is left out
  bool whole = false;    ///< it is all of the kept output
};

/// At most the last `limit` bytes, cut at characters.
[[nodiscard]] Result<Preview> preview_of(const store::OutputLog& log, std::int64_t limit, bool ended);

/// At most the last `limit` bytes of an ended task's output; "" if it can't be read.
[[nodiscard]] std::string output_tail(const store::Session& session, const Task& task, std::int64_t limit);

}  // namespace perdure::manager
