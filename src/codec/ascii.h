#pragma once

#include <string>
#include <string_view>

namespace perdure::codec {

/// JSON text that is valid UTF-8, with escapes for what is not ASCII: the runner has no decoder that could tell good
/// UTF-8 from bad.
[[nodiscard]] std::string in_ascii(std::string_view json);

}  // namespace perdure::codec
