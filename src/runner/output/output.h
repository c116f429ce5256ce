#pragma once

#include "runner/output/log.h"
#include "runner/output/stdio.h"
#include "runner/output/stream.h"
#include "runner/output/typed.h"

namespace runner {

/// The path of the output: from the command's pipe or terminal to the log and, in the foreground, to the caller.
struct Output {
  Fd pipe;  // the reading end; closed at the end of the output
  Stdio stdio;
  Typed typed;
  Log log;
  Stream stream;
  long owed = -1;  // unread bytes of the command when it exited, before those of leftovers; below 0: not determined

  /// Upper bound of the bytes waiting to be read. A terminal does not report them; it holds less than this.
  [[nodiscard]] long waiting() const {
    constexpr long kAll = 1'048'576;
    return stdio.is_terminal() ? kAll : sys::bytes_waiting(pipe.get());
  }
};

}  // namespace runner
