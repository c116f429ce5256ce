#pragma once

#include "store/session.h"
#include <perdure/notification.h>

#include <vector>

namespace perdure::manager {

/// What there is to say about a task that has ended (L35). Reads the end of its output.
[[nodiscard]] Notification describe_end(const store::Session& session, const Task& task);

/// Ended tasks, oldest first, as notifications: of an owner's tasks that were lost one for all, where they are more
/// than one, so that a session that is opened again after a crash does not flood whoever asks (L32).
[[nodiscard]] std::vector<Notification> describe_ends(const store::Session& session, const std::vector<Task>& tasks);

/// The tasks that an id of a notification or of a task means. `status` is what they must have ended as, if it says so.
/// Errors: task_id_invalid.
struct Meant {
  std::vector<TaskId> tasks;
  std::optional<Status> status;
};
[[nodiscard]] Result<Meant> tasks_meant_by(std::string_view id);

}  // namespace perdure::manager
