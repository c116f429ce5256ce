#pragma once

#include "base/fd.h"
#include "store/session.h"
#include <perdure/manager.h>

#include <functional>
#include <optional>
#include <vector>

namespace perdure::store {

/// The record of a task as it is on disk now, in whichever folder it is; absent: there is none.
/// Of several, the one that takes precedence (store/precedence.h), also when it is unreadable. Errors: record_invalid.
[[nodiscard]] Result<std::optional<Task>> find_record(const Session& session, const TaskId& id);

/// The same file once more.
[[nodiscard]] Result<Task> reread(const Task& task);

struct Scan {
  std::vector<Task> tasks;  // in no order
  std::vector<BadRecord> bad;
  std::vector<TaskId> recordless;  // folders without a record: of tasks in the foreground, or just being started
  std::vector<TaskId> looked_at;   // entries of active/ that no live record stands behind (tidy_active)
};
struct ScanOptions {
  bool terminal = true;    ///< false: records of ended tasks are left out
  bool leftovers = false;  ///< but not those that say that processes outlived the command
  bool own_only = false;   ///< with `terminal` false: tasks of other programs may be left out, and queued ones
  /// Given each task instead of its being kept; called by several threads at once.
  std::function<void(Task&&)> take;
};
/// Without `terminal`, and where active/ may be believed (store/active.h), only records are opened that may be of live
/// tasks: what this costs does not grow with the tasks that have ended.
///
/// Every record of the session, in the parts in which it was read: a task is a kilobyte to move, and some sessions
/// have a hundred thousand.
[[nodiscard]] Result<std::vector<Scan>> scan_in_parts(const Session& session, const ScanOptions& options = {});

/// Every record of the session. A session that does not exist has none.
[[nodiscard]] Result<Scan> scan_records(const Session& session, const ScanOptions& options = {});

/// Writes a record in the current shape over the one it was read from, durably. A record of the oldest shape gets a
/// file of its own beside its folder.
[[nodiscard]] Result<> write_record(const Task& task);

/// The right of one process of Perdure to change the record of another program, until the descriptor is closed; waits for
/// it. A lock on the record's own file, since nothing is to be left beside it. Read the record again after taking it.
[[nodiscard]] Result<Fd> lock_record(const Task& task);

/// False for an id of the oldest shape that no record of the current one can have: its end can't be written.
[[nodiscard]] bool can_be_written(const Task& task);

/// When the record was last written, ms since the epoch.
[[nodiscard]] std::int64_t written_at(const Task& task);

}  // namespace perdure::store
