#pragma once

#include "contract/launch_spec.h"
#include "runner/control/control.h"
#include "runner/os/fd.h"

namespace runner {

/// What the command reads and writes: pipes, or a terminal of its own.
class Stdio {
 public:
  /// Opens both sides; again for a command that is restarted, which keeps its terminal and gets new pipes. 0 or -errno.
  [[nodiscard]] int open(const perdure::contract::LaunchSpec& spec);

  /// For the forked child: its standard input (below 0: none), output, and whether they are a terminal.
  [[nodiscard]] int command_input() const { return command_in_.get(); }
  [[nodiscard]] int command_output() const { return command_out_.get(); }
  [[nodiscard]] bool is_terminal() const { return terminal_; }
  /// In the runner, once the child has them.
  void let_go_of_command_side();

  /// Where the command's output comes from; the caller's from now on.
  [[nodiscard]] Fd take_output() { return static_cast<Fd&&>(output_); }

  /// Hands the writing side of the command's input to a client (contract/control.h). The bytes never pass through the
  /// runner, so a command that does not read keeps only the writer waiting.
  void answer_input(Control& control, int client) const;
  /// Lets go of the writing side; with a terminal there is none to let go of.
  void close_input();

 private:
  Fd output_, input_, command_in_, command_out_;
  bool terminal_ = false, has_input_ = false;
};

}  // namespace runner
