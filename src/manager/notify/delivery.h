#pragma once

#include "manager/link/telemetry.h"
#include "store/outbox.h"
#include "store/session.h"
#include <perdure/manager.h>

#include <map>
#include <mutex>
#include <string>

namespace perdure::manager {

/// The endings that this manager is delivering and has not leased: dropping one leaves it to others. Thread-safe.
class Claims {
 public:
  void keep(const TaskId& id, store::OutboxClaim claim);
  void drop(const TaskId& id);

 private:
  std::mutex mutex_;
  std::map<std::string, store::OutboxClaim> held_;
};

/// Undelivered endings, oldest first.
struct Pending {
  std::vector<Task> tasks;
  std::vector<TaskId> stale;  ///< entries that are no news any more: somebody was killed before removing them
  std::optional<std::int64_t> claim_ends_at;  ///< when the first of those that others deliver is free again, epoch ms
};
enum class Whose {
  anybodys,  ///< also what somebody is delivering just now
  nobodys    ///< only what is free
};
[[nodiscard]] Result<Pending> find_pending(const store::Session& session, const std::optional<std::string>& owner,
                                           Whose whose);

/// Settles tasks of ours whose runner was killed: their ends are news, too.
[[nodiscard]] Result<> settle_lost(const store::Session& session, Telemetry& telemetry);

}  // namespace perdure::manager
