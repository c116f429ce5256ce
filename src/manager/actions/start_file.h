#pragma once

#include "store/session.h"
#include <perdure/manager.h>

#include <optional>

// What a task was started with, kept for rerun() as `tasks/<id>/start` (I23): its environment may hold secrets, so it is
// mode 0600 and shown nowhere; it says what is to be executed, so it is signed (L51) and believed only with this user's
// signature.
namespace perdure::manager {

/// Best effort: without a key of this user, or room on the disk, there is none, and rerun() says so. `cwd` is absolute.
void write_start(const store::Session& session, const TaskId& id, const StartOptions& options, const std::string& cwd);

void remove_start(const store::Session& session, const TaskId& id);

/// Absent: there is none, it is damaged, or this user did not sign it for this task of this session.
[[nodiscard]] std::optional<StartOptions> read_start(const store::Session& session, const TaskId& id);

}  // namespace perdure::manager
