#pragma once

#include "store/session.h"
#include <perdure/manager.h>

#include <optional>

// The options of a start, kept for rerun() as `tasks/<id>/start` (I23). Its environment may contain secrets, so it has
// mode 0600 and is never shown. It says what is executed, so it is signed (L51) and used only with this user's
// signature.
namespace perdure::manager {

/// Best effort: without a key of this user or space on the disk there is no file, and rerun() reports that. `cwd` is
/// absolute.
void write_start(const store::Session& session, const TaskId& id, const StartOptions& options, const std::string& cwd);

void remove_start(const store::Session& session, const TaskId& id);

/// Absent: there is none, it is damaged, or this user did not sign it for this task of this session.
[[nodiscard]] std::optional<StartOptions> read_start(const store::Session& session, const TaskId& id);

}  // namespace perdure::manager
