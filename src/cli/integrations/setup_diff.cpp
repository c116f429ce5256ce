#include "cli/integrations/setup_diff.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <vector>

namespace perdure::cli {
namespace {

// With more pairs of lines the middle is shown as replaced: the table would exceed 4 MB, and such a change is not
// readable.
constexpr std::size_t kMostPairs = 1'000'000;

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

}  // namespace

std::string line_diff(std::string_view before, std::string_view after) {
  if (before == after) return "";
  auto old_lines = lines_of(before);
  auto new_lines = lines_of(after);
  std::size_t head = 0;
  while (head < old_lines.size() && head < new_lines.size() && old_lines[head] == new_lines[head]) ++head;
  while (old_lines.size() > head && new_lines.size() > head && old_lines.back() == new_lines.back()) {
    old_lines.pop_back();
    new_lines.pop_back();
  }
  const std::size_t rows = old_lines.size() - head;
  const std::size_t columns = new_lines.size() - head;
  // common[i][j]: the number of common lines from lines i and j on.
  std::vector<std::uint32_t> common;
  const std::size_t width = columns + 1;
  const bool is_small = rows * columns <= kMostPairs;
  if (is_small) {
    common.assign((rows + 1) * width, 0);
    for (std::size_t i = rows; i-- > 0;)
      for (std::size_t j = columns; j-- > 0;)
        common[i * width + j] = old_lines[head + i] == new_lines[head + j]
                                    ? common[(i + 1) * width + j + 1] + 1
                                    : std::max(common[(i + 1) * width + j], common[i * width + j + 1]);
  }
  std::string text;
  bool in_hunk = false;
  const auto show = [&](char sign, std::string_view line, std::size_t number) {
    if (!in_hunk) text += fmt::format("@@ line {}\n", number + 1);
    in_hunk = true;
    if (line.ends_with('\r')) line.remove_suffix(1);
    text += fmt::format("{}{}\n", sign, line);
  };
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < rows || j < columns) {
    const bool both = i < rows && j < columns;
    if (both && is_small && old_lines[head + i] == new_lines[head + j]) {
      in_hunk = false;
      ++i, ++j;
    } else if (i < rows && (!both || !is_small || common[(i + 1) * width + j] >= common[i * width + j + 1])) {
      show('-', old_lines[head + i++], head + j);
    } else {
      show('+', new_lines[head + j], head + j);
      ++j;
    }
  }
  // Only the last line's end differs.
  if (text.empty()) text = after.ends_with('\n') ? "+ a line end at the end\n" : "- the line end at the end\n";
  return text;
}

}  // namespace perdure::cli
