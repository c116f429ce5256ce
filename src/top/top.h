#pragma once

#include <perdure/manager.h>

#include <string>

namespace perdure::top {

struct Options {
  std::string command = "perdure";  ///< the start of command lines for this session: "perdure --session DIR"
  bool copies = false;              ///< `y` copies the text to the terminal's clipboard (OSC 52)
};

/// Shows a session's tasks until the user quits, its input ends or a signal comes. Returns the exit status. Errors:
/// usage if there is no terminal; session_unusable.
[[nodiscard]] Result<int> show(TaskManager& manager, const Options& options);

}  // namespace perdure::top
