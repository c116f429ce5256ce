#pragma once

#include "cli/console/call.h"

namespace perdure::cli {

/// Runs a task with this program as its foreground: its output on standard output, Ctrl-C stops it, the detach key, a
/// closed terminal or SIGTERM let it go on in the background. The exit status.
[[nodiscard]] Result<int> run_in_foreground(TaskManager& manager, StartOptions start, const std::string& detach_keys);

/// The control character of `ctrl-X`; 0 for `none`. Errors: usage.
[[nodiscard]] Result<char> parse_detach_keys(std::string_view text);

}  // namespace perdure::cli
