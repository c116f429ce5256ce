#pragma once

#include "store/session.h"

namespace perdure::store {

/// May this process use the session? Its folders must belong to the effective user, must not be writable by others
/// (everyone, or a group that is not the user's primary one), and must not be links (L49). A session that does not
/// exist yet may be made. Errors: session_unusable, naming the folder, its owner and what to do.
[[nodiscard]] Result<> check_owner(const Session& session);

/// Does the open file or folder belong to this user? (L50: in another user's session no socket is connected to.)
[[nodiscard]] bool is_own(int fd);

}  // namespace perdure::store
