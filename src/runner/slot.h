#pragma once

#include "runner/fd.h"

#include <string_view>

namespace runner {

/// A place among the session's background tasks (L01, L03): free exactly when its holder is gone.
class Slot {
 public:
  /// Takes a free one, making it if need be. With `cap` > 0 refuses when that many are held: `held` is then set and
  /// -EDQUOT returned. Else 0 or -errno.
  [[nodiscard]] int take(int session_folder, std::string_view task_id, int cap, int& held);

  [[nodiscard]] int fd() const { return file_.get(); }
  void release() { file_.reset(); }

 private:
  [[nodiscard]] int take_first_free(int folder, int cap, int& held);
  Fd file_;
};

}  // namespace runner
