#pragma once

#include "runner/os/fd.h"

#include <string_view>

namespace runner {

/// A place among the session's running background tasks (L01, L03): it is free exactly when its holder has exited.
class Slot {
 public:
  /// Opens slots/, making it if needed. 0 or -errno.
  [[nodiscard]] int open(int session_folder);

  /// Takes a free slot, making one if needed. With `cap` > 0 it refuses when that many are held: it sets `held` and
  /// returns -EDQUOT. Else 0 or -errno. With a cap the caller must hold the queue's lock, so that counting and taking
  /// are one step.
  [[nodiscard]] int take(std::string_view task_id, int cap, int& held);

  /// Calls visit(id) for each task that holds a slot.
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
