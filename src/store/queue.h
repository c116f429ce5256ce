#pragma once

#include "store/session.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace perdure::store {

/// A queued task, from the name of its file in queue/ (runner/admission/queue.h writes it).
struct QueueEntry {
  std::string name;
  TaskId id;
  std::int64_t number = 0;  ///< entries of one priority start in the order of their numbers
  int priority = 0;         ///< 0 to 999, the higher the sooner; of one that follows another task: not known
  bool follows = false;     ///< it waits for another task to end and does not compete for a slot yet
};

/// In the order in which they start; those that follow another task last. Empty if the session has no queue.
[[nodiscard]] Result<std::vector<QueueEntry>> list_queue(const Session& session);

/// Absent: the task has started or ended meanwhile.
[[nodiscard]] Result<std::optional<std::string>> read_queue_entry(const Session& session, const QueueEntry& entry);

/// The inode of its file, which is another one after an edit. 0: there is no such file.
[[nodiscard]] std::int64_t inode_of(const Session& session, const QueueEntry& entry);

/// The name of the entry with that priority and number.
[[nodiscard]] std::string entry_name(const TaskId& id, int priority, std::int64_t number);

/// Succeeds if there is none.
[[nodiscard]] Result<> remove_queue_entry(const Session& session, const QueueEntry& entry);

}  // namespace perdure::store
