#pragma once

#include "runner/os/fd.h"

namespace runner {

/// The output stream of a foreground caller. A slow reader slows the command down, as with any pipe; a reader that has
/// closed it does not.
class Stream {
 public:
  /// Takes over the writing end of a pipe.
  void open(Fd fd);
  [[nodiscard]] bool is_open() const { return static_cast<bool>(fd_); }
  [[nodiscard]] int fd() const { return fd_.get(); }

  /// Writes bytes. Those that do not fit are not copied: the buffer must stay valid until is_behind() is false.
  void give(const char* bytes, unsigned long n);
  void flush();
  [[nodiscard]] bool is_behind() const { return held_bytes_ > 0; }
  void close();

 private:
  Fd fd_;
  const char* held_ = nullptr;
  unsigned long held_bytes_ = 0;
};

}  // namespace runner
