#pragma once

#include "runner/os/fd.h"

#include <string_view>

namespace runner {

/// The empty file active/<task id>, by which live tasks are found without reading the records of all ended ones (L66,
/// store/active.h). It is made before the record and removed only after the terminal record is durable.
class Active {
 public:
  /// Makes the entry. 0 or -errno. Not synced: after a power cut the index is built again.
  [[nodiscard]] int enter(int session_folder, std::string_view task_id);

  /// Makes it again once runner.lock is held: another process may have removed an old entry in between.
  [[nodiscard]] int check(std::string_view task_id) const;

  /// Call when the terminal record is durable and no process of the task lives.
  void end(std::string_view task_id) const;

  /// Call when there is no such task and will be no record of it.
  void leave(std::string_view task_id) const;

 private:
  Fd folder_;
};

}  // namespace runner
