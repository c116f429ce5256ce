#pragma once

#include "base/clock.h"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>

namespace perdure {

/// The remaining time of a wait that consists of several steps. Immutable, so thread-safe.
class TimeLeft {
 public:
  /// Absent: no limit.
  explicit TimeLeft(std::optional<std::chrono::milliseconds> timeout) {
    if (timeout) until_ = steady_ms() + timeout->count();
  }

  /// Not negative; absent: no limit.
  [[nodiscard]] std::optional<std::chrono::milliseconds> left() const {
    if (!until_) return std::nullopt;
    return std::chrono::milliseconds(std::max<std::int64_t>(0, *until_ - steady_ms()));
  }
  /// `most`, or less if less is left.
  [[nodiscard]] std::chrono::milliseconds slice(std::chrono::milliseconds most) const {
    return std::min(most, left().value_or(most));
  }
  [[nodiscard]] bool over() const { return until_ && steady_ms() >= *until_; }

 private:
  std::optional<std::int64_t> until_;
};

}  // namespace perdure
