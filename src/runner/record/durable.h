#pragma once

#include "contract/names.h"
#include "runner/record/active.h"
#include "runner/record/lock_page.h"
#include "runner/record/record.h"

namespace runner {

/// The facts of the task, and the files that keep them: runner.lock gets the cause at once, the record gets everything
/// at the end, and the entry in active/ says that the record is not terminal.
struct Durable {
  LockPage lock;
  Active active;
  Fd leftover_lock;  // held while this runner watches leftovers
  Record record;
  Facts facts;
  Text<3600> reason;
  Text<perdure::contract::kMaxNoteBytes + 1> note;  // members from a subagent's driver
};

}  // namespace runner
