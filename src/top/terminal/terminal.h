#pragma once

#include "base/error.h"
#include "base/fd.h"
#include "top/terminal/capabilities.h"

#include <termios.h>

#include <string_view>

namespace perdure::top {

struct Size {
  int rows = 24, columns = 80;
  bool operator==(const Size&) const = default;
};

/// Controls the terminal on standard input and output while top runs. Its settings are restored at the end, when top is
/// stopped or crashes, and at SIGTERM; not after SIGKILL. At most one object.
class Terminal {
 public:
  /// Errors: usage if standard input or output is not a terminal.
  [[nodiscard]] static Result<Terminal> open();
  Terminal(Terminal&& other) noexcept;
  Terminal& operator=(Terminal&&) = delete;
  ~Terminal();

  [[nodiscard]] const Capabilities& can() const { return can_; }
  [[nodiscard]] Size size() const;
  /// A descriptor for SIGWINCH, SIGTERM, SIGHUP, SIGINT, SIGTSTP and SIGCONT.
  [[nodiscard]] int signals() const { return signals_.get(); }

  /// Blocks while the terminal accepts nothing. False: it was closed.
  [[nodiscard]] bool write(std::string_view bytes) const;

  /// Restores the terminal's settings, and sets them again.
  void leave();
  void enter();

  /// Handles Ctrl-Z: returns when the program is continued.
  void suspend();

  /// Runs a program on it and waits. False: it could not be run.
  [[nodiscard]] bool run(const std::vector<std::string>& command);

 private:
  explicit Terminal(Capabilities can) : can_(std::move(can)) {}
  Capabilities can_;
  termios before_{};
  Fd signals_;
  bool entered_ = false;
  bool owns_ = true;
};

}  // namespace perdure::top
