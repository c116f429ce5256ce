#pragma once

#include <perdure/task.h>

#include <string>
#include <vector>

namespace perdure::top {

/// The living processes of a task as a tree, a line each under a line of heads. What has left the tree of its runner is
/// not seen.
[[nodiscard]] std::vector<std::string> process_lines(const Task& task);

}  // namespace perdure::top
