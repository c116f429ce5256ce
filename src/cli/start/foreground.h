#pragma once

#include "cli/console/call.h"

namespace perdure::cli {

/// What a foreground command gets as its input (I01).
enum class TypedInput {
  as_started,  ///< what StartOptions says
  callers,     ///< ours: a terminal is typed from, everything else is handed over
};

/// Runs a task with this program as its foreground: its output on standard output, Ctrl-C stops it, the detach key, a
/// closed terminal or SIGTERM let it go on in the background. The exit status.
[[nodiscard]] Result<int> run_in_foreground(TaskManager& manager, StartOptions start, const std::string& detach_keys,
                                            TypedInput input);

}  // namespace perdure::cli
