#pragma once

#include "runner/os/fd.h"

namespace runner {

/// What a foreground caller reads while the command writes. A reader that is slow slows the command down, as behind any
/// pipe; one that is gone does not.
class Stream {
 public:
  /// Takes the writing end of a pipe.
  void open(Fd fd);
  [[nodiscard]] bool is_open() const { return static_cast<bool>(fd_); }
  [[nodiscard]] int fd() const { return fd_.get(); }

  /// Passes bytes on. What finds no room is held: they must stay where they are until is_behind() is false.
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
