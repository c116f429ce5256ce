#pragma once

#include "runner/admission/spec.h"
#include "runner/processes/child.h"

#include <string_view>

namespace runner {

/// Starts `perdure reconcile --queue` when this task freed a slot and the next in the queue has no live runner (L50). A
/// runner can't check signatures, so it never starts another task itself.
class QueueRestart {
 public:
  /// Copies the variables that the program needs from the command's environment. Call before Spec::drop_command().
  void prepare(const Spec& spec);

  /// The pid of the program, a child that is not part of the task; 0: nothing to restart, or fork failed.
  [[nodiscard]] int start_if_needed(int session_folder, int tasks_folder, std::string_view task_id,
                                    const Inherited& inherited) const;

 private:
  static constexpr const char* kKept[] = {"HOME", "PATH", "XDG_STATE_HOME", "XDG_CONFIG_HOME"};
  static constexpr int kKeptCount = sizeof kKept / sizeof *kKept;
  char* environment_[kKeptCount + 1] = {};
};

}  // namespace runner
