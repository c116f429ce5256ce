#pragma once

#include <string>

namespace perdure::cli {

/// While an object lives, the text given to put() is held back. The destructor prints it, through `$PAGER` (else less,
/// else more) if it is longer than the terminal on standard output. Nothing is held back if standard output is not a
/// terminal, if PAGER is empty or `cat`, or if TERM is dumb. One at a time, on the main thread.
class Pager {
 public:
  Pager();
  ~Pager();
  Pager(const Pager&) = delete;
  Pager& operator=(const Pager&) = delete;

 private:
  bool is_wanted_;
  std::string text_;
};

}  // namespace perdure::cli
