#pragma once

#include "runner/output/log.h"
#include "runner/output/stdio.h"
#include "runner/output/stream.h"

namespace runner {

/// The way of the command's bytes: from its pipe or terminal to the log and, in the foreground, to the caller.
struct Output {
  Fd pipe;  // where they come from; closed at the end of the output
  Stdio stdio;
  Log log;
  Stream stream;
  long owed = -1;  // bytes that the command had written when it ended, and leftovers may follow; below 0: not looked at

  /// How much can be read at once. A terminal does not say; it holds less than this.
  [[nodiscard]] long waiting() const {
    constexpr long kAll = 1'048'576;
    return stdio.is_terminal() ? kAll : sys::bytes_waiting(pipe.get());
  }
};

}  // namespace runner
