#pragma once

#include "base/fd.h"
#include "store/session.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

// outbox/<taskId>: an empty file for each ending that its owner has not been told of (docs/internals/disk-format.md, "Outbox").
// It is an index and says nothing: without a terminal record it is ignored, and one whose record says `notifiedAt`
// is only to be removed. It is made before the terminal record and removed after the acknowledgement.
namespace perdure::store {

/// Makes the entry, and the folder if it is not there.
[[nodiscard]] Result<> add_to_outbox(const Session& session, const TaskId& id);

/// Wakes whoever waits for news, as the end of a claim does: for a record that got its end where nobody looks for that.
void wake_waiters(const Session& session, const TaskId& id);

[[nodiscard]] bool is_in_outbox(const Session& session, const TaskId& id);

/// Nothing there is success.
[[nodiscard]] Result<> remove_from_outbox(const Session& session, const TaskId& id);

/// The ids of all entries, in no order. A session without an outbox has none.
[[nodiscard]] Result<std::vector<TaskId>> outbox_entries(const Session& session);

/// Until when somebody else is delivering this ending, ms since the epoch; absent: nobody is, or there is no entry.
[[nodiscard]] Result<std::optional<std::int64_t>> claimed_until(const Session& session, const TaskId& id);

[[nodiscard]] std::string outbox_path(const Session& session);

/// The right to deliver one ending. Two kinds:
///
/// - without a lease: a lock on the entry that ends with this object or this process, however it dies. After
///   kClaimerHangs another may deliver, too: a claimer that hangs must not keep the news for ever;
/// - with a lease: for that long, whether this process lives or not. For whoever hands the news on and leaves.
///
/// The times of the entry carry this: its mtime is ahead of its ctime exactly when it is leased, and is the end of
/// the lease; without a lease it tells since when it is claimed. Not its content: a disk that is full must not keep
/// news from being delivered.
class OutboxClaim {
 public:
  static constexpr std::chrono::milliseconds kClaimerHangs{60'000};

  /// Absent: no such entry, or somebody else's claim stands. Look at the record after taking it.
  [[nodiscard]] static Result<std::optional<OutboxClaim>> take(const Session& session, const TaskId& id,
                                                               std::optional<std::chrono::milliseconds> lease);

 private:
  explicit OutboxClaim(Fd file) : file_(std::move(file)) {}
  Fd file_;  // none when it is leased
};

}  // namespace perdure::store
