#pragma once

#include "store/session.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace perdure::store {

/// A task that waits for a slot, by the name of its file in queue/ (runner/admission/queue.h writes it).
struct QueueEntry {
  std::string name;
  TaskId id;
  std::int64_t number = 0;  ///< those of the same priority start in the order of their numbers
  int priority = 0;         ///< 0 to 999, the higher the sooner; of one that follows another task: not known
  bool follows = false;     ///< it waits for another task first and competes with nobody
};

/// In the order in which they start; those that follow another task last. A session without a queue has none.
[[nodiscard]] Result<std::vector<QueueEntry>> list_queue(const Session& session);

/// Absent: the task has started or ended meanwhile.
[[nodiscard]] Result<std::optional<std::string>> read_queue_entry(const Session& session, const QueueEntry& entry);

/// Another content is another file. 0: it is not there.
[[nodiscard]] std::int64_t inode_of(const Session& session, const QueueEntry& entry);

/// The name of an entry at that place.
[[nodiscard]] std::string entry_name(const TaskId& id, int priority, std::int64_t number);

/// Nothing there is success.
[[nodiscard]] Result<> remove_queue_entry(const Session& session, const QueueEntry& entry);

}  // namespace perdure::store
