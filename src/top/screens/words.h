#pragma once

#include "base/words.h"
#include "view/safe_text.h"
#include <perdure/task.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace perdure::top {

/// "now", "32s", "4m", "2h", "5d".
[[nodiscard]] std::string age_text(std::int64_t ms);
/// "32s", "4m12s", "2h05m", "3d04h".
[[nodiscard]] std::string length_text(std::int64_t ms);
/// Lines of at most `columns`, broken at blanks if possible. Harmless.
[[nodiscard]] std::vector<std::string> wrapped(std::string_view bytes, int columns);

[[nodiscard]] view::Style plain_style(std::uint16_t attributes, int colour = -1);
[[nodiscard]] view::Style style_of(Status status);

}  // namespace perdure::top
