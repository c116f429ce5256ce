#pragma once

#include <perdure/manager.h>

#include <string>

namespace perdure::top {

struct Options {
  std::string command = "perdure";  ///< how a command of this session begins: "perdure --session DIR"
  bool copies = false;              ///< `y` gives the text to the terminal's clipboard (OSC 52)
};

/// Shows a session's tasks until it is left, its input ends or a signal comes. Returns the exit status. Errors: usage
/// where there is no terminal; session_unusable.
[[nodiscard]] Result<int> show(TaskManager& manager, const Options& options);

}  // namespace perdure::top
