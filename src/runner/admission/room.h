#pragma once

#include <cstdlib>

namespace runner {

/// Memory for what is small, which is nearly all that a launch keeps: the heap's first use would be four system calls and
/// two pages of its own.
class Room {
 public:
  /// All zero, kept for good. nullptr: there is no memory.
  [[nodiscard]] static void* take(unsigned long n) {
    const unsigned long rounded = (n + alignof(char*) - 1) / alignof(char*) * alignof(char*);
    if (rounded > sizeof bytes_ - used_) return std::calloc(1, n);
    void* const taken = bytes_ + used_;
    used_ += rounded;
    return taken;
  }
  /// Only the heap takes something back.
  static void give_back(void* taken) {
    const auto* const byte = static_cast<char*>(taken);
    if (byte < bytes_ || byte >= bytes_ + sizeof bytes_) std::free(taken);
  }

 private:
  alignas(char*) static inline char bytes_[2560];
  static inline unsigned long used_ = 0;
};

}  // namespace runner
