#pragma once

#include <string>

namespace perdure::cli {

/// While one lives, what put() is given is held back; at its end it is printed, through `$PAGER` (else less, else more) where
/// it is longer than the terminal on standard output. Nothing is held back where that is no terminal, where PAGER is empty
/// or `cat`, or where TERM is dumb. One at a time, on the main thread.
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
