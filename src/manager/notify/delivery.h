#pragma once

#include "manager/link/telemetry.h"
#include "store/outbox.h"
#include "store/session.h"
#include <perdure/manager.h>

#include <map>
#include <mutex>
#include <string>

namespace perdure::manager {

/// The claims without a lease of this manager. Dropping one lets others deliver the notification. Thread-safe.
class Claims {
 public:
  void keep(const TaskId& id, store::OutboxClaim claim);
  void drop(const TaskId& id);

 private:
  std::mutex mutex_;
  std::map<std::string, store::OutboxClaim> held_;
};

/// Undelivered notifications, oldest first.
struct Pending {
  std::vector<Task> tasks;
  std::vector<TaskId> stale;  ///< entries without a pending notification: a process was killed before it removed them
  std::optional<std::int64_t> claim_ends_at;  ///< when the first claim of another process ends, ms since the epoch
};
enum class Whose {
  anybodys,  ///< also those that another process is delivering
  nobodys    ///< only what is free
};
[[nodiscard]] Result<Pending> find_pending(const store::Session& session, const std::optional<std::string>& owner,
                                           Whose whose);

/// Settles Perdure tasks whose runner was killed: their owners are notified, too.
[[nodiscard]] Result<> settle_lost(const store::Session& session, Telemetry& telemetry);

}  // namespace perdure::manager
