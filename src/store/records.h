#pragma once

#include "base/fd.h"
#include "store/session.h"
#include <perdure/manager.h>

#include <functional>
#include <optional>
#include <vector>

namespace perdure::store {

/// The record of a task as it is on disk now, in any folder; absent: there is none. Of several, the one that takes
/// precedence (store/precedence.h), even if it is unreadable. Errors: record_invalid.
[[nodiscard]] Result<std::optional<Task>> find_record(const Session& session, const TaskId& id);

/// Reads the same file again.
[[nodiscard]] Result<Task> reread(const Task& task);

struct Scan {
  std::vector<Task> tasks;  // in no order
  std::vector<BadRecord> bad;
  std::vector<TaskId> recordless;  // folders without a record: of foreground tasks, or of tasks being started
  std::vector<TaskId> looked_at;   // entries of active/ without a live task (tidy_active)
};
struct ScanOptions {
  bool terminal = true;    ///< false: records of ended tasks are left out
  bool leftovers = false;  ///< except those with processes that outlived the command
  bool own_only = false;   ///< with `terminal` false: may leave out tasks of other programs, and queued ones
  /// Receives each task instead of `tasks`; called by several threads at once.
  std::function<void(Task&&)> take;
};
/// Without `terminal`, and if active/ is complete (store/active.h), only the records of tasks that may be live are
/// opened: the cost does not grow with the number of ended tasks.
///
/// Every record of the session, in the parts in which it was read: moving a task copies a kilobyte, and some sessions
/// have a hundred thousand.
[[nodiscard]] Result<std::vector<Scan>> scan_in_parts(const Session& session, const ScanOptions& options = {});

/// Every record of the session. Empty if the session does not exist.
[[nodiscard]] Result<Scan> scan_records(const Session& session, const ScanOptions& options = {});

/// Writes a record in the current format over the file it was read from, durably. A record of the oldest format gets a
/// new file beside its folder.
[[nodiscard]] Result<> write_record(const Task& task);

/// Locks the record of another program against other Perdure processes until the descriptor is closed; waits for the
/// lock. It is on the record's own file, so that no new file appears beside it. Read the record again after taking it.
[[nodiscard]] Result<Fd> lock_record(const Task& task);

/// False for an id of the oldest format that the current format does not allow: its end can't be written.
[[nodiscard]] bool can_be_written(const Task& task);

/// When the record was last written, ms since the epoch.
[[nodiscard]] std::int64_t written_at(const Task& task);

}  // namespace perdure::store
