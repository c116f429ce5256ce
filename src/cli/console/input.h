#pragma once

#include "cli/console/call.h"

#include <map>
#include <optional>
#include <string>

namespace perdure::cli {

/// All of a file, or of standard input for "-"; at most 1 MiB. Errors: usage.
[[nodiscard]] Result<std::string> read_input(const std::string& path);

[[nodiscard]] bool is_terminal_input();

/// Asks on standard error and reads the answer from standard input; every answer except y and yes means no.
[[nodiscard]] bool ask_yes_or_no(std::string_view question);

/// The next line of standard input, without its end; absent at the end of input.
[[nodiscard]] std::optional<std::string> read_line();

/// The values of a repeatable option of the form NAME=VALUE. Errors: usage.
[[nodiscard]] Result<std::map<std::string, std::string>> pairs(const Call& call, std::string_view option);

}  // namespace perdure::cli
