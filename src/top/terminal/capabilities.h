#pragma once

#include "top/terminal/keys.h"

#include <string>
#include <vector>

namespace perdure::top {

/// The capabilities of the terminal, from terminfo. Drawing uses ECMA-48, which all of today's terminals understand.
struct Capabilities {
  enum class Colours { none, ansi, palette, full };  ///< 0, 8 or 16, 256, red green blue
  Colours colours = Colours::palette;
  std::string enter, leave;  ///< the alternate screen
  std::string hide, show;    ///< the cursor
  bool italic = true;
  bool known = true;              ///< false: terminfo has no such entry; treated as xterm-256color
  std::vector<KeySequence> keys;  ///< what its keys send, in addition to the common sequences
};

/// By $TERM, $COLORTERM and $NO_COLOR. Reads the terminfo database.
[[nodiscard]] Capabilities capabilities(const char* term);

}  // namespace perdure::top
