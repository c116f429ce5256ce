#pragma once

#include "base/fd.h"
#include <perdure/cancellation.h>
#include <perdure/error.h>

#include <functional>
#include <optional>
#include <stop_token>

namespace perdure::manager {

/// A Cancellation as a descriptor for poll(), valid while this object lives.
class CancelFd {
 public:
  /// Errors: session_unusable if no descriptor is available.
  [[nodiscard]] Result<> begin(const Cancellation& cancellation);

  /// -1: it can't be cancelled.
  [[nodiscard]] int get() const { return fd_; }

 private:
  int fd_ = -1;
  Fd own_;
  std::optional<std::stop_callback<std::function<void()>>> callback_;  // last, since it writes to own_
};

}  // namespace perdure::manager
