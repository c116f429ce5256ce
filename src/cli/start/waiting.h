#pragma once

#include <perdure/manager.h>

namespace perdure::cli {

struct Waited {
  WaitResult result;
  bool interrupted = false;  ///< by Ctrl-C; the tasks continue
};

/// TaskManager::wait() with a progress line if standard error is a terminal.
[[nodiscard]] Result<Waited> wait_with_progress(TaskManager& manager, const WaitOptions& options);

}  // namespace perdure::cli
