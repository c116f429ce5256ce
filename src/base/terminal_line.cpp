#include "base/terminal_line.h"

#include <termios.h>

namespace perdure {

std::size_t TerminalLine::fits(int fd, std::string_view bytes) {
  termios settings{};
  if (::tcgetattr(fd, &settings) != 0 || (settings.c_lflag & ICANON) == 0) {
    begun_ = 0;
    return bytes.size();
  }
  std::size_t done = 0;
  while (done < bytes.size()) {
    const std::size_t end = bytes.find_first_of("\n\r", done);
    const std::size_t length = (end == std::string_view::npos ? bytes.size() : end) - done;
    if (begun_ + length > kMostTerminalLine) return done;
    if (end == std::string_view::npos) {
      begun_ += length;
      return bytes.size();
    }
    begun_ = 0;
    done = end + 1;
  }
  return done;
}

}  // namespace perdure
