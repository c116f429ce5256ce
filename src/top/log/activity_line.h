#pragma once

#include "view/safe_text.h"

namespace perdure::top {

/// A line for display from an entry of a subagent's activity (docs/guide/agents.md), a line of JSON.
[[nodiscard]] view::Line activity_line(std::string_view json);

}  // namespace perdure::top
