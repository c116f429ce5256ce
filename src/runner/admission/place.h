#pragma once

#include "runner/admission/awaited.h"
#include "runner/admission/queue.h"
#include "runner/admission/slot.h"

namespace runner {

/// A background task's place: its slot, or its entry in the queue (L01, L05).
struct Place {
  std::string_view entry_name;  // the file in queue/ of a killed runner that this one replaces; or ""
  bool is_stale = false;        // that entry was replaced or removed: another runner has the task, or had it
  Slot slot;
  Queue queue;
  Awaited awaited;
};

}  // namespace runner
