#pragma once

#include <string>
#include <string_view>

namespace perdure::codec {

/// The text of a JSON string, given the part between the quotes. "" if that is invalid.
[[nodiscard]] std::string unescape(std::string_view escaped);

}  // namespace perdure::codec
