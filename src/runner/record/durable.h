#pragma once

#include "contract/names.h"
#include "runner/record/active.h"
#include "runner/record/lock_page.h"
#include "runner/record/record.h"

namespace runner {

/// What is known of the task, and the files that keep it: runner.lock holds what decided at once, the record all of it at
/// the end, and the entry in active/ says that the record is not terminal.
struct Durable {
  LockPage lock;
  Active active;
  Fd leftover_lock;  // held while this runner looks after leftovers
  Record record;
  Facts facts;
  Text<3600> reason;
  Text<perdure::contract::kMaxNoteBytes + 1> note;  // of a subagent's driver
};

}  // namespace runner
