#pragma once

#include "store/session.h"

#include <string>
#include <string_view>

namespace perdure::manager {

/// Makes a new id that begins with `prefix`, and its folder tasks/<id>.
[[nodiscard]] Result<TaskId> claim_id(const store::Session& session, std::string_view prefix);

/// A description made from a possibly long text: its first line, at most 80 bytes of it.
[[nodiscard]] std::string first_line_of(const std::string& text);

}  // namespace perdure::manager
