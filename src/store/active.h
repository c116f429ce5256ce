#pragma once

#include "store/session.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// active/<taskId>: an empty file for each task of ours that may be live (docs/internals/disk-format.md, "Active"). It is
// an index and says nothing: whoever finds an entry looks at the record and the locks. There may be too many entries,
// never too few, while is_active_complete() says so.
//
// Nothing of it is ever synced. It counts only under the boot in which it was completed, so what a power cut leaves of it
// is not believed.
namespace perdure::store {

/// Makes the entry, and the folder if it is not there. Before the record can say that the task runs.
[[nodiscard]] Result<> add_to_active(const Session& session, const TaskId& id);

/// The task has ended: after its terminal record is durable, and when nothing of it lives. What fails leaves an entry too
/// many, or an ended task that is looked at once more.
void end_in_active(const Session& session, const TaskId& id);

/// The task is gone with its record.
void remove_from_active(const Session& session, const TaskId& id);

/// The ids of all entries, in no order. A session without the folder has none.
[[nodiscard]] Result<std::vector<TaskId>> active_entries(const Session& session);

/// May the index be believed? It was completed under this boot, in this very folder (not in one that this is a copy of),
/// and no older version has written in the session since.
[[nodiscard]] bool is_active_complete(const Session& session);

/// Completes the index where it may not be believed, by one look at everything. For mutating commands.
[[nodiscard]] Result<> complete_active(const Session& session);

/// Ids of tasks whose records in tasks/ are terminal: a cache (active/.ended), which lets a list of what lives skip those
/// records. An id that is missing costs a look; an id with an entry in active/ is looked at in any case.
class EndedIds {
 public:
  explicit EndedIds(const Session& session);
  [[nodiscard]] bool contains(std::string_view id) const;

 private:
  [[nodiscard]] std::string_view id_at(std::uint32_t place) const;
  std::string text_;                   // ids, one a line
  std::vector<std::uint32_t> places_;  // a hash table of where they begin, plus 1; 0: free
};

/// Removes entries that stand for nothing any more: of those `looked_at`, which the caller found ended or without a record.
void tidy_active(const Session& session, const std::vector<TaskId>& looked_at);

}  // namespace perdure::store
