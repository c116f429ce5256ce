#pragma once

#include "store/session.h"

namespace perdure::store {

/// May this process act in the session? Its folders must belong to the effective user, must not be writable by others
/// (the world, or a group that is not the user's primary one), and must not be links (L49). A session that does not
/// exist yet may be made: false. Errors: session_unusable, naming the folder, whose it is and what to do.
[[nodiscard]] Result<bool> check_owner(const Session& session);

/// Does the open file or folder belong to this user? (L50: in another user's session no socket is connected to.)
[[nodiscard]] bool is_own(int fd);

}  // namespace perdure::store
