#pragma once

#include "runner/admission/awaited.h"
#include "runner/admission/queue.h"
#include "runner/admission/slot.h"

namespace runner {

/// Where a background task stands among the others: its slot, or its place in the queue (L01, L05).
struct Place {
  std::string_view
      entry_name;         // in queue/, of a runner that was killed while it waited; this one takes its place. Or ""
  bool is_stale = false;  // that entry was replaced, or is gone: another runner has the task, or had it
  Slot slot;
  Queue queue;
  Awaited awaited;
};

}  // namespace runner
