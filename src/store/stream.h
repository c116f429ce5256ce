#pragma once

#include "store/records.h"

#include <sys/stat.h>

#include <cstddef>
#include <functional>
#include <string_view>
#include <vector>

namespace perdure::store {

inline constexpr std::size_t kMostWorkers = 8;

/// What becomes of each record, instead of its being kept. Called by several threads at once, each with a number of its
/// own below kMostWorkers.
struct Stream {
  /// `about`: the file's state before it was read, where `is_known` was asked.
  std::function<void(std::size_t worker, Task&& task, const struct stat* about)> take = {};
  /// Asked before a file `<id>.json` of the session's own folder is read, if it is given: true, it need not be.
  std::function<bool(std::size_t worker, std::string_view id, const struct stat& about)> is_known = {};
};

/// Every record of the session, ended or not, given to the stream. What this takes does not grow with the session, but for
/// 16 bytes a name. The scans have no tasks.
[[nodiscard]] Result<std::vector<Scan>> stream_records(const Session& session, const Stream& stream);

}  // namespace perdure::store
