#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace perdure::cli {

/// The lines of a table whose rows are not all there at once: each is measured, and then, in a second round, laid out.
class TableLayout {
 public:
  /// The last column is cut where a line would be wider than `columns`, and every other but the first, in its middle, to
  /// a third of them (I42); 0: never.
  explicit TableLayout(std::size_t columns) : columns_(columns) {}
  void measure(const std::vector<std::string>& cells);
  [[nodiscard]] std::string line(const std::vector<std::string>& cells) const;

 private:
  [[nodiscard]] bool is_cut(std::size_t at, std::size_t cells) const {
    return columns_ > 0 && at > 0 && at + 1 < cells;
  }
  std::size_t columns_;
  std::vector<std::size_t> widths_;
};

}  // namespace perdure::cli
