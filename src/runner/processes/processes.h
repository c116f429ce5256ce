#pragma once

#include "runner/processes/limits.h"
#include "runner/processes/tree.h"

#include <csignal>

namespace runner {

/// The command with everything below it, and what they may use together.
struct Processes {
  explicit Processes(std::string_view task_id) : tree(task_id) {}

  Tree tree;
  Limits limits;
  int owned = 0;  // tasks that this one owns and that had not ended when they were last asked to

  /// Asks the tasks that were started below and are owned by this one to stop (L40).
  void ask_owned(long grace_ms) { owned = tree.stop_owned_tasks(grace_ms); }
  /// Again, where some had not ended the last time.
  void ask_owned_again(long grace_ms) {
    if (owned > 0) ask_owned(grace_ms);
  }
  /// How many live besides the command. Costs a walk only where there is one at all.
  [[nodiscard]] int count_others() { return tree.has_others() ? tree.count() : 0; }

  /// `signal` for `group` (0: none) at once, then for those that left it unless `group_only`. A stopped process must run
  /// to hear of it.
  void ask_to_end(int signal, int group, bool group_only) {
    for (const int each : {signal, SIGCONT}) {
      sys::kill_group(group, each);
      if (!group_only) tree.signal(each, group);
    }
  }
};

}  // namespace runner
