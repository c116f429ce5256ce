#pragma once

#include "store/session.h"
#include <perdure/notification.h>

#include <vector>

namespace perdure::manager {

/// The facts of an ended task for its notification (L35). Reads the end of its output.
[[nodiscard]] Notification describe_end(const store::Session& session, const Task& task);

/// Ended tasks, oldest first, as notifications. Two or more lost tasks of one owner become a single notification, so
/// that an owner is not flooded when a session is opened again after a crash (L32).
[[nodiscard]] std::vector<Notification> describe_ends(const store::Session& session, const std::vector<Task>& tasks);

/// The tasks of a notification's or task's id. `status` is the outcome that they must have, if the id contains one.
/// Errors: task_id_invalid.
struct Meant {
  std::vector<TaskId> tasks;
  std::optional<Status> status;
};
[[nodiscard]] Result<Meant> tasks_meant_by(std::string_view id);

}  // namespace perdure::manager
