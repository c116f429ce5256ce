#pragma once

#include "base/fd.h"
#include "store/session.h"

#include <chrono>
#include <cstdint>
#include <optional>
#include <vector>

// outbox/<taskId>: an empty file for each undelivered notification (docs/internals/disk-format.md, "Outbox"). It is an
// index without data: without a terminal record an entry is ignored, and if the record has `notifiedAt`, the entry is
// only removed. It is made before the terminal record and removed after the acknowledgement.
namespace perdure::store {

/// Makes the entry, and the folder if it does not exist.
[[nodiscard]] Result<> add_to_outbox(const Session& session, const TaskId& id);

/// Wakes processes that wait for notifications, as the end of a claim does: for an end that was recorded in a folder
/// they do not watch.
void wake_waiters(const Session& session, const TaskId& id);

[[nodiscard]] bool is_in_outbox(const Session& session, const TaskId& id);

/// Succeeds if there is none.
[[nodiscard]] Result<> remove_from_outbox(const Session& session, const TaskId& id);

/// The ids of all entries, in no order. A session without an outbox has none.
[[nodiscard]] Result<std::vector<TaskId>> outbox_entries(const Session& session);

/// When another process's claim on this notification ends, ms since the epoch; absent: it is unclaimed, or there is no
/// entry.
[[nodiscard]] Result<std::optional<std::int64_t>> claimed_until(const Session& session, const TaskId& id);

[[nodiscard]] std::string outbox_path(const Session& session);

/// A claim: the right to deliver one notification. Two kinds:
///
/// - without a lease: a lock on the entry, which ends with this object or with this process. After kClaimerHangs
/// another process may deliver, too, so that a process that hangs does not hold the notification back for ever;
/// - with a lease: for that long, even if this process exits. For a process that hands the notification on and exits.
///
/// The claim is in the times of the entry, so that it also works on a full disk: if mtime is later than ctime, the
/// notification is leased until mtime; else mtime is when the claim began.
class OutboxClaim {
 public:
  static constexpr std::chrono::milliseconds kClaimerHangs{60'000};

  /// Absent: there is no such entry, or it is claimed. Read the record again after taking the claim.
  [[nodiscard]] static Result<std::optional<OutboxClaim>> take(const Session& session, const TaskId& id,
                                                               std::optional<std::chrono::milliseconds> lease);

 private:
  explicit OutboxClaim(Fd file) : file_(std::move(file)) {}
  Fd file_;  // closed for a lease
};

}  // namespace perdure::store
