#include "runner/output/stdio.h"

#include "contract/control.h"
#include "runner/os/text.h"

#include <cerrno>

namespace runner {

using namespace perdure::contract;

namespace {

int open_terminal(const LaunchSpec& spec, Fd& runner_side, Fd& command_side) {
  runner_side = Fd(sys::open_at(AT_FDCWD, "/dev/ptmx", O_RDWR | O_NOCTTY));
  if (!runner_side) return runner_side.get();
  int locked = 0;
  if (::ioctl(runner_side.get(), TIOCSPTLCK, &locked) != 0) return -errno;
  // Not by its name: in another mount namespace /dev/pts may be a different instance.
  command_side = Fd(sys::checked(::ioctl(runner_side.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC)));
  if (!command_side) return command_side.get();
  winsize size{};
  size.ws_row = static_cast<unsigned short>(spec.terminal_rows);
  size.ws_col = static_cast<unsigned short>(spec.terminal_columns);
  return sys::checked(::ioctl(runner_side.get(), TIOCSWINSZ, &size));
}

int open_pipe(Fd& out, Fd& in) {
  int ends[2];
  if (const int e = sys::pipe(ends); e < 0) return e;
  out = Fd(ends[0]);
  in = Fd(ends[1]);
  return 0;
}

}  // namespace

int Stdio::open(const LaunchSpec& spec) {
  terminal_ = spec.terminal_rows > 0;
  has_input_ = terminal_ || spec.input == SpecInput::pipe;
  if (terminal_ && input_) {
    output_ = Fd(sys::checked(::fcntl(input_.get(), F_DUPFD_CLOEXEC, 3)));
    command_out_ = Fd(sys::checked(::ioctl(input_.get(), TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC)));
    if (!output_ || !command_out_) return output_ ? command_out_.get() : output_.get();
    command_in_ = Fd(sys::checked(::fcntl(command_out_.get(), F_DUPFD_CLOEXEC, 3)));
    if (!command_in_) return command_in_.get();
  } else if (terminal_) {
    if (const int e = open_terminal(spec, output_, command_out_); e < 0) return e;
    input_ = Fd(sys::checked(::fcntl(output_.get(), F_DUPFD_CLOEXEC, 3)));
    command_in_ = Fd(sys::checked(::fcntl(command_out_.get(), F_DUPFD_CLOEXEC, 3)));
    if (!input_ || !command_in_) return input_ ? command_in_.get() : input_.get();
  } else {
    input_.reset();
    if (const int e = open_pipe(output_, command_out_); e < 0) return e;
    if (spec.input == SpecInput::inherit) {
      command_in_ = Fd(kInputFd);
    } else if (has_input_)
      if (const int e = open_pipe(command_in_, input_); e < 0) return e;
  }
  // A pipe is new and has no other flags that would have to be kept.
  return terminal_ ? sys::set_nonblocking(output_.get()) : sys::checked(::fcntl(output_.get(), F_SETFL, O_NONBLOCK));
}

void Stdio::let_go_of_command_side() {
  command_in_.reset();
  command_out_.reset();
}

void Stdio::answer_input(Control& control, int client) const {
  if (!has_input_) return control.answer(client, kNull);
  if (!input_) return control.answer(client, kClosed);
  const int input = input_.get();
  control.answer(client, terminal_ ? kTerminal : kPipe, &input, 1);
}

Fd Stdio::open_input(std::string_view& why) const {
  if (!has_input_) why = kNull;
  if (has_input_ && !input_) why = kClosed;
  if (!why.empty()) return Fd(-ENOENT);
  // A terminal's is non-blocking, and opened again by its name would be another terminal.
  if (terminal_) return Fd(sys::checked(::fcntl(input_.get(), F_DUPFD_CLOEXEC, 3)));
  const auto name = Text<32>() << "/proc/self/fd/" << input_.get();
  return Fd(sys::open_at(AT_FDCWD, name.c_str(), O_WRONLY | O_NONBLOCK));
}

void Stdio::close_input() {
  if (!terminal_) input_.reset();
}

}  // namespace runner
