#pragma once

#include <cstddef>
#include <string_view>

namespace perdure {

/// A terminal that gathers lines (canonical mode) silently drops what is beyond this many bytes of one (N_TTY of Linux).
inline constexpr std::size_t kMostTerminalLine = 4095;

/// Counts what is written to a terminal, so that nothing of a line is written that the kernel would drop. One for each
/// writer; not thread-safe.
class TerminalLine {
 public:
  /// How many of the bytes can be written to `fd` without loss. All of them unless `fd` is a terminal that gathers lines; a
  /// line that is too long is left out from its first byte, where that is among `bytes`.
  [[nodiscard]] std::size_t fits(int fd, std::string_view bytes);

 private:
  std::size_t begun_ = 0;  // bytes of the unfinished line that were written before
};

}  // namespace perdure
