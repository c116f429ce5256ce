#pragma once

#include <string>
#include <string_view>

namespace perdure::codec {

/// JSON text that is valid UTF-8, with escapes for all characters that are not ASCII: the runner can't check UTF-8.
[[nodiscard]] std::string in_ascii(std::string_view json);

}  // namespace perdure::codec
