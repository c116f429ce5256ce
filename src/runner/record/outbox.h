#pragma once

#include "runner/os/fd.h"

#include <string_view>

namespace runner {

/// Makes the empty file outbox/<task id>: somebody is to be told that the task ends (L32). Called before the terminal
/// record gets its name, since an ending without an entry would never be told; an entry without an ending is ignored.
/// 0 or -errno, to be tried again. Where something else stands in the place of the folder or the entry, nobody can
/// be told, which is no reason to keep the task from ending: 0. `folder` is then closed, else it is the outbox, to be
/// fsynced before the record gets its name (D41).
[[nodiscard]] int announce_end(int session_folder, std::string_view task_id, Fd& folder);

}  // namespace runner
