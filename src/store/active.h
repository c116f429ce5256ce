#pragma once

#include "store/session.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// active/<taskId>: an empty file for each task of Perdure's that may be live (docs/internals/disk-format.md, "Active").
// It is an index without data: a process that finds an entry reads the record and the locks. While is_active_complete()
// holds, there may be too many entries, never too few.
//
// The index is never synced. It counts only under the boot in which it was completed, so its state after a power cut
// does not matter.
namespace perdure::store {

/// Makes the entry, and the folder if it does not exist. Call before the record can say that the task runs.
[[nodiscard]] Result<> add_to_active(const Session& session, const TaskId& id);

/// Removes the entry of a task that has ended. Call when the terminal record is durable and none of its processes
/// lives. A failure leaves a superfluous entry or a missing cached id; both cost one more look at the record.
void end_in_active(const Session& session, const TaskId& id);

/// Removes the entry of a task whose record was removed.
void remove_from_active(const Session& session, const TaskId& id);

/// The ids of all entries, in no order. A session without the folder has none.
[[nodiscard]] Result<std::vector<TaskId>> active_entries(const Session& session);

/// Is the index complete? It is if it was completed under this boot, in this very folder (not in one that was copied),
/// and no older version has written to the session since.
[[nodiscard]] bool is_active_complete(const Session& session);

/// Completes the index if it is not complete, by reading all records. For mutating commands.
[[nodiscard]] Result<> complete_active(const Session& session);

/// Ids of tasks whose records in tasks/ are terminal: a cache (active/.ended), so that a list of live tasks need not
/// open those records. For a missing id, and for an id with an entry in active/, the record is opened in any case.
class EndedIds {
 public:
  explicit EndedIds(const Session& session);
  [[nodiscard]] bool contains(std::string_view id) const;

 private:
  [[nodiscard]] std::string_view id_at(std::uint32_t place) const;
  std::string text_;                   // ids, one a line
  std::vector<std::uint32_t> places_;  // a hash table of where they begin, plus 1; 0: free
};

/// Removes superfluous entries among `looked_at`, which the caller found to be ended or without a record.
void tidy_active(const Session& session, const std::vector<TaskId>& looked_at);

}  // namespace perdure::store
