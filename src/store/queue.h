#pragma once

#include "store/session.h"

#include <optional>
#include <string>
#include <vector>

namespace perdure::store {

/// A queued task, from the name of its file in queue/ (runner/admission/queue.h writes it).
struct QueueEntry {
  std::string name;
  TaskId id;
  bool follows = false;  ///< it waits for another task to end and does not compete for a slot yet
};

/// In the order in which they start; those that follow another task last. Empty if the session has no queue.
[[nodiscard]] Result<std::vector<QueueEntry>> list_queue(const Session& session);

/// Absent: the task has started or ended meanwhile.
[[nodiscard]] Result<std::optional<std::string>> read_queue_entry(const Session& session, const QueueEntry& entry);

/// Succeeds if there is none.
[[nodiscard]] Result<> remove_queue_entry(const Session& session, const QueueEntry& entry);

}  // namespace perdure::store
