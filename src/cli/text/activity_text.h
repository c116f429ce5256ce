#pragma once

#include <string>
#include <string_view>

namespace perdure::cli {

/// The activity of a subagent (docs/guide/agents.md) for people: a line for each entry. Invalid entries are left out.
[[nodiscard]] std::string activity_text(std::string_view json_lines);

/// The last lines of a text, at most that many.
[[nodiscard]] std::string last_lines(std::string text, std::size_t most);

}  // namespace perdure::cli
