#pragma once

#include <perdure/manager.h>

namespace perdure::cli {

struct Waited {
  WaitResult result;
  bool interrupted = false;  ///< Ctrl-C: the tasks run on
};

/// TaskManager::wait() with a progress line where a person watches.
[[nodiscard]] Result<Waited> wait_with_progress(TaskManager& manager, const WaitOptions& options);

}  // namespace perdure::cli
