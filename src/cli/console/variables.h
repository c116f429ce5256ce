#pragma once

#include <string>
#include <vector>

namespace perdure::cli {

/// Notes on variables of the environment that begin with PERDURE_ and that no Perdure program reads: they are misspelt.
[[nodiscard]] std::vector<std::string> misspelt_variables();

}  // namespace perdure::cli
