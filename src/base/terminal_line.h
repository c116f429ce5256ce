#pragma once

#include <cstddef>
#include <string_view>

namespace perdure {

/// A terminal in canonical mode silently drops bytes of a line beyond this length (N_TTY of Linux).
inline constexpr std::size_t kMostTerminalLine = 4095;

/// Counts the bytes written to a terminal, so that no part of a line is written that the kernel would drop. One object
/// for each writer; not thread-safe.
class TerminalLine {
 public:
  /// How many of the bytes can be written to `fd` without loss. All of them unless `fd` is a terminal in canonical
  /// mode. A line that is too long is left out as a whole if it begins in `bytes`.
  [[nodiscard]] std::size_t fits(int fd, std::string_view bytes);

 private:
  std::size_t begun_ = 0;  // bytes of the incomplete line that were written before
};

}  // namespace perdure
