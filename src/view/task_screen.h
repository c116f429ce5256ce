#pragma once

#include <perdure/manager.h>

#include <string>

namespace perdure::view {

/// The screen of a task's terminal, now or at its end.
struct TaskScreen {
  std::string text;  ///< from ScreenText
  TerminalSize size;
};
/// Replays the last 16 MiB of its output: older bytes have been overwritten or scrolled away. A task without a terminal
/// of its own gets one of 80x24.
[[nodiscard]] Result<TaskScreen> screen_of(const TaskManager& manager, const TaskId& id);

}  // namespace perdure::view
