#pragma once

#include "top/terminal/keys.h"
#include "top/terminal/screen.h"

#include <string>
#include <vector>

namespace perdure::top {

/// A scrollable text: the help, the processes of a task.
class TextView {
 public:
  void set(std::vector<std::string> lines) { lines_ = std::move(lines); }
  void draw(Screen& screen, int first_row, int rows);
  bool on_key(const Key& key);

 private:
  std::vector<std::string> lines_;
  int top_ = 0, rows_ = 1;
};

/// The help on keys.
[[nodiscard]] std::vector<std::string> help_lines();

}  // namespace perdure::top
