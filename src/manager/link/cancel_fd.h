#pragma once

#include "base/fd.h"
#include <perdure/cancellation.h>
#include <perdure/error.h>

#include <functional>
#include <optional>
#include <stop_token>

namespace perdure::manager {

/// A Cancellation as a descriptor that poll() can wait for, for as long as this lives.
class CancelFd {
 public:
  /// Errors: session_unusable where no descriptor is to be had.
  [[nodiscard]] Result<> begin(const Cancellation& cancellation);

  /// -1: nothing cancels.
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_ = -1;
  Fd own_;
  std::optional<std::stop_callback<std::function<void()>>> callback_;  // the last: it writes to own_
};

}  // namespace perdure::manager
