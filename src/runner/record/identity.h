#pragma once

#include "runner/os/text.h"

// Where this runner runs, as it says itself in the records that it writes: whoever reads them elsewhere must not judge by
// the processes of another machine, boot or pid namespace, nor take a copy of the session for the session (L52).
namespace runner {

/// Members of the record: bootId, machineId, hostName, pidNamespace, sessionFolder; what is not known is left out. Each
/// begins with a comma. Escaped as in JSON. Read once, at the first call.
[[nodiscard]] std::string_view identity_members(int session_folder);

}  // namespace runner
