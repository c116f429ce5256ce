#pragma once

#include <string>
#include <string_view>

namespace perdure::cli {

/// The lines that differ, with "-" before removed and "+" before added ones, each hunk under "@@ line N". Shows no
/// other line, since such files contain secrets. "" for equal texts.
[[nodiscard]] std::string line_diff(std::string_view before, std::string_view after);

}  // namespace perdure::cli
