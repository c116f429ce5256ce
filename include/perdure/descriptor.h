#pragma once

#include <perdure/export.h>

#include <utility>

namespace perdure {

/// A file descriptor that is closed when this goes. Move-only.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) noexcept : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = other.release();
    }
    return *this;
  }
  ~Descriptor() { reset(); }

  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] explicit operator bool() const noexcept { return fd_ >= 0; }
  /// It is the caller's to close from now on.
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
  PERDURE_API void reset() noexcept;

 private:
  int fd_ = -1;
};

}  // namespace perdure
