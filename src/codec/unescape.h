#pragma once

#include <string>
#include <string_view>

namespace perdure::codec {

/// What stands between the quotes of a JSON string, as text. "" when it is none.
[[nodiscard]] std::string unescape(std::string_view escaped);

}  // namespace perdure::codec
