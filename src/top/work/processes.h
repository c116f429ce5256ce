#pragma once

#include <perdure/task.h>

#include <string>
#include <vector>

namespace perdure::top {

/// The living processes of a task as a tree, a line for each, below a line of headings. Processes that have left the
/// tree of its runner are not included.
[[nodiscard]] std::vector<std::string> process_lines(const Task& task);

}  // namespace perdure::top
