#pragma once

#include "contract/launch_spec.h"
#include "runner/control/control.h"
#include "runner/os/fd.h"

#include <string_view>

namespace runner {

/// The command's standard streams: pipes, or a terminal of its own.
class Stdio {
 public:
  /// Opens both sides; again for a command that is restarted, which keeps its terminal and gets new pipes. 0 or -errno.
  [[nodiscard]] int open(const perdure::contract::LaunchSpec& spec);

  /// For the forked child: its standard input (below 0: none), output, and whether they are a terminal.
  [[nodiscard]] int command_input() const { return command_in_.get(); }
  [[nodiscard]] int command_output() const { return command_out_.get(); }
  [[nodiscard]] bool is_terminal() const { return terminal_; }
  /// Closes the child's ends in the runner, after the fork.
  void let_go_of_command_side();

  /// The reading end of the command's output; the caller owns it from now on.
  [[nodiscard]] Fd take_output() { return static_cast<Fd&&>(output_); }

  /// Passes the writing end of the command's input to a client (contract/control.h). The bytes do not pass through the
  /// runner, so a command that does not read blocks only the writer.
  void answer_input(Control& control, int client) const;
  /// Opens the writing side anew, so that writing to it never blocks whatever is set on the one that clients share.
  /// -errno where that fails, or there is none: then `why` says so in a word of contract/control.h.
  [[nodiscard]] Fd open_input(std::string_view& why) const;
  /// Lets go of the writing side; with a terminal there is none to let go of.
  void close_input();

 private:
  Fd output_, input_, command_in_, command_out_;
  bool terminal_ = false, has_input_ = false;
};

}  // namespace runner
