#pragma once

#include <perdure/manager.h>

#include <string>

namespace perdure::view {

/// What the terminal of a task shows, or showed at its end.
struct TaskScreen {
  std::string text;  ///< of ScreenText
  TerminalSize size;
};
/// Played from the last 16 MiB of its output: what a program drew before that was drawn over, or scrolled away. A task
/// without a terminal of its own gets one of 80x24.
[[nodiscard]] Result<TaskScreen> screen_of(const TaskManager& manager, const TaskId& id);

}  // namespace perdure::view
