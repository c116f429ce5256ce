#pragma once

#include "store/session.h"
#include <perdure/manager.h>

#include <string>
#include <vector>

namespace perdure::manager {

/// What the machine around a session may do to its tasks: the disk, the file system, inotify, logging out, the runner.
[[nodiscard]] std::vector<Finding> look_at_surroundings(const store::Session& session, const ManagerOptions& options);

/// Does systemd-logind end the processes of whoever logs out? `folder` is /etc/systemd.
[[nodiscard]] bool kills_user_processes(const std::string& folder);

}  // namespace perdure::manager
