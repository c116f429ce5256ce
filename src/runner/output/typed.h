#pragma once

#include "contract/control.h"
#include "runner/control/control.h"
#include "runner/control/request.h"
#include "runner/output/stdio.h"

namespace runner {

/// What was typed by requests that carry an id, so that one that comes again after its answer was lost is not typed twice
/// (V50). Remembers the latest kRememberedWrites; memory is taken with the first.
class Typed {
 public:
  Typed() = default;
  Typed(const Typed&) = delete;
  Typed& operator=(const Typed&) = delete;
  ~Typed();

  /// Types what is not typed yet and fits into the input now. Never blocks. The answer says how far the write has come.
  void answer(Control& control, int client, const request::Type& wanted, const Stdio& stdio);

 private:
  struct Write {
    char id[perdure::contract::kWriteIdDigits];
    char sum[perdure::contract::kWriteSumDigits];
    long bytes;
  };
  /// Absent: not known, or another one's.
  [[nodiscard]] Write* find(std::string_view id) const;
  [[nodiscard]] Write* remember(const request::Type& wanted);

  Write* writes_ = nullptr;  // a ring: the oldest is overwritten
  int count_ = 0, next_ = 0;
};

}  // namespace runner
