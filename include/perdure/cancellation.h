#pragma once

#include <stop_token>
#include <utility>

namespace perdure {

/// What makes a waiting call return at once, as if the time had passed: a std::stop_token, or, for a program that waits
/// for descriptors anyway, a descriptor that becomes readable. Without either the call waits to its end.
class Cancellation {
 public:
  Cancellation() = default;
  Cancellation(std::stop_token token) : token_(std::move(token)) {}  // NOLINT(google-explicit-constructor): it is one

  /// `fd` stays the caller's and must be open for as long as the call takes. -1: nothing cancels.
  [[nodiscard]] static Cancellation when_readable(int fd) {
    Cancellation cancellation;
    cancellation.fd_ = fd;
    return cancellation;
  }

  [[nodiscard]] const std::stop_token& token() const { return token_; }
  [[nodiscard]] int fd() const { return fd_; }

 private:
  std::stop_token token_;
  int fd_ = -1;
};

}  // namespace perdure
