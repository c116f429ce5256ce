#pragma once

#include "runner/os/fd.h"

#include <cstdlib>

namespace runner {

/// Connections to the runners whose tasks a parked task waits for.
class Awaited {
 public:
  Awaited() = default;
  Awaited(const Awaited&) = delete;
  Awaited& operator=(const Awaited&) = delete;
  ~Awaited() {
    drop_all();
    std::free(all_);
  }

  /// False: out of memory.
  [[nodiscard]] bool make_room() {
    if (used_ < room_) return true;
    const int more = room_ + 16;
    void* const moved = std::realloc(all_, static_cast<unsigned long>(more) * sizeof(int));
    if (moved == nullptr) return false;
    all_ = static_cast<int*>(moved);
    room_ = more;
    return true;
  }
  /// Only after make_room().
  void add(Fd runner) { all_[used_++] = runner.release(); }
  void drop_all() {
    while (used_ > 0) sys::close(all_[--used_]);
  }

 private:
  int* all_ = nullptr;
  int used_ = 0, room_ = 0;
};

}  // namespace runner
