#pragma once

#include "runner/processes/limits.h"
#include "runner/processes/tree.h"

#include <csignal>

namespace runner {

/// The command, its process tree and their limits.
struct Processes {
  explicit Processes(std::string_view task_id) : tree(task_id) {}

  Tree tree;
  Limits limits;
  int owned = 0;  // tasks that this one owns and that had not ended when they were last asked to

  /// Asks tasks that were started below this one and are owned by it to stop (L40).
  void ask_owned(long grace_ms) { owned = tree.stop_owned_tasks(grace_ms); }
  /// Asks again if some had not ended the last time.
  void ask_owned_again(long grace_ms) {
    if (owned > 0) ask_owned(grace_ms);
  }
  /// How many processes live besides the command. Walks the tree only if there is one at all.
  [[nodiscard]] int count_others() { return tree.has_others() ? tree.count() : 0; }

  /// Sends `signal` to `group` (0: none) at once, then to processes that left it unless `group_only`. Sends SIGCONT,
  /// too, since a stopped process can't handle the signal.
  void ask_to_end(int signal, int group, bool group_only) {
    for (const int each : {signal, SIGCONT}) {
      sys::kill_group(group, each);
      if (!group_only) tree.signal(each, group);
    }
  }
};

}  // namespace runner
