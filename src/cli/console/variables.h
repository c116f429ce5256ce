#pragma once

#include <string>
#include <vector>

namespace perdure::cli {

/// What to say of each variable of the environment that begins with PERDURE_ and that nothing of ours reads: it is misspelt.
[[nodiscard]] std::vector<std::string> misspelt_variables();

}  // namespace perdure::cli
