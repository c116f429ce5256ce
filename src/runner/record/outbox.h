#pragma once

#include "runner/os/fd.h"

#include <string_view>

namespace runner {

/// Makes the empty file outbox/<task id>, which marks an undelivered notification (L32). Call before the terminal
/// record gets its name: without an entry the end would never be reported, while an entry without an end is ignored. 0
/// or -errno, to be retried. If something else is in the place of the folder or the entry, notification is impossible,
/// and the task ends all the same: 0. `folder` is then closed; else it is the outbox, to be fsynced before the record
/// gets its name (D41).
[[nodiscard]] int announce_end(int session_folder, std::string_view task_id, Fd& folder);

}  // namespace runner
