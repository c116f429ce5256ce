#pragma once

#include "runner/os/fd.h"

#include <string_view>

namespace runner {

/// The empty file active/<task id>, by which a live task is found without a look at the records of all that have ended
/// (L66, store/active.h). It is there before the record is, and goes only after the terminal record is durable.
class Active {
 public:
  /// Makes the entry. 0 or -errno. Nothing is synced: after a power cut the index is made anew.
  [[nodiscard]] int enter(int session_folder, std::string_view task_id);

  /// Once more, when runner.lock is held: an old entry may have been taken away in between.
  [[nodiscard]] int check(std::string_view task_id) const;

  /// The end is durable and nothing of the task lives.
  void end(std::string_view task_id) const;

  /// There is no such task and will be no record of it.
  void leave(std::string_view task_id) const;

 private:
  Fd folder_;
};

}  // namespace runner
