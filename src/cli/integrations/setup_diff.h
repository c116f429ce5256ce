#pragma once

#include <string>
#include <string_view>

namespace perdure::cli {

/// The lines that differ, "-" before those that go and "+" before those that come, each hunk under "@@ line N". No
/// other line is shown: such files hold secrets. "" for equal texts.
[[nodiscard]] std::string line_diff(std::string_view before, std::string_view after);

}  // namespace perdure::cli
