#pragma once

#include "runner/os/fd.h"

#include <string_view>

namespace runner {

/// A place among the session's background tasks (L01, L03): free exactly when its holder is gone.
class Slot {
 public:
  /// Finds slots/, making it if need be. 0 or -errno.
  [[nodiscard]] int open(int session_folder);

  /// Takes a free one, making it if need be. With `cap` > 0 refuses when that many are held: `held` is then set and
  /// -EDQUOT returned. Else 0 or -errno. Counting and taking must be one step for those who count: with a cap the
  /// caller holds the queue's lock.
  [[nodiscard]] int take(std::string_view task_id, int cap, int& held);

  /// Calls visit(id) for the task that each held slot names.
  template <class F>
  void each_holder(F&& visit) const {
    char id[kIdBytes];
    for (long n = 0; is_there(n); ++n)
      if (const std::string_view holder = holder_of(n, id); !holder.empty()) visit(holder);
  }

  [[nodiscard]] int fd() const { return file_.get(); }
  void release() { file_.reset(); }

 private:
  static constexpr unsigned kIdBytes = 72;  // an id has 64 characters at most
  [[nodiscard]] int take_any();
  [[nodiscard]] int take_one(long n);
  [[nodiscard]] int take_first_free(int cap, int& held);
  [[nodiscard]] bool is_there(long n) const;
  [[nodiscard]] std::string_view holder_of(long n, char (&id)[kIdBytes]) const;
  Fd folder_, file_;
};

}  // namespace runner
