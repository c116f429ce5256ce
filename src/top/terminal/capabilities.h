#pragma once

#include "top/terminal/keys.h"

#include <string>
#include <vector>

namespace perdure::top {

/// What the terminal can do, as terminfo has it. Everything that is drawn goes by ECMA-48, as every terminal of today.
struct Capabilities {
  enum class Colours { none, ansi, palette, full };  ///< 0, 8 or 16, 256, red green blue
  Colours colours = Colours::palette;
  std::string enter, leave;  ///< the other screen
  std::string hide, show;    ///< the cursor
  bool italic = true;
  bool known = true;              ///< false: no entry of that name, taken for xterm-256color
  std::vector<KeySequence> keys;  ///< what its keys send, besides what all send
};

/// By $TERM, $COLORTERM and $NO_COLOR. Reads the terminfo database.
[[nodiscard]] Capabilities capabilities(const char* term);

}  // namespace perdure::top
