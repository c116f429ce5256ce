#pragma once

#include "runner/os/text.h"

// Identifies the machine, boot and pid namespace of this runner in its records: a reader elsewhere must not judge by
// its own processes, and must not take a copy of the session for the session (L52).
namespace runner {

/// Members of the record: bootId, machineId, hostName, pidNamespace, sessionFolder; unknown ones are left out. Each
/// begins with a comma. Escaped as in JSON. Determined once, at the first call.
[[nodiscard]] std::string_view identity_members(int session_folder);

}  // namespace runner
