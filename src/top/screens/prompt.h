#pragma once

#include "top/terminal/keys.h"
#include "top/terminal/screen.h"

#include <functional>
#include <string>

namespace perdure::top {

/// One line of input in the last row. Or a single key: y, or any other.
struct Prompt {
  std::string label;
  std::string text;
  bool yes_or_no = false;
  std::function<void(const std::string&)> done;  ///< Enter, or y

  void draw(Screen& screen, int row) const;
  /// True: it is over. Call `done` if `accepted`.
  bool on_key(const Key& key);
  bool accepted = false;
};

}  // namespace perdure::top
