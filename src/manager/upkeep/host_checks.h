#pragma once

#include "store/session.h"
#include <perdure/manager.h>

#include <string>
#include <vector>

namespace perdure::manager {

/// What the machine may do to a session's tasks: the disk, the file system, inotify, logging out, the runner.
[[nodiscard]] std::vector<Finding> look_at_surroundings(const store::Session& session, const ManagerOptions& options);

/// Is it on a file system that other machines, or a program, may serve: nfs, cifs, 9p, fuse, ceph, afs, lustre, gpfs?
[[nodiscard]] bool is_remote(const std::string& path);

/// Does systemd-logind kill a user's processes at logout? `folder` is /etc/systemd.
[[nodiscard]] bool kills_user_processes(const std::string& folder);

}  // namespace perdure::manager
