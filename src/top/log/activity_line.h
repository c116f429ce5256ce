#pragma once

#include "view/safe_text.h"

namespace perdure::top {

/// An entry of a subagent's activity (docs/guide/agents.md), a line of JSON, as people read it.
[[nodiscard]] view::Line activity_line(std::string_view json);

}  // namespace perdure::top
