#pragma once

#include "store/session.h"

#include <optional>
#include <string>
#include <unordered_set>

namespace perdure::store {

/// Which of several records of one id is the task's (L54). A record of Perdure's in `<session>/tasks` precedes all
/// others; without one, an agent's own record precedes the one in `<session>/tasks`. Other programs write copies of
/// Perdure's records, in their own folders; those prove nothing. Not thread-safe.
class Precedence {
 public:
  explicit Precedence(const Session& session) : session_(session) {}

  /// Is the task of this id one of Perdure's? Then its only record is the one in `<session>/tasks`, which may not exist
  /// yet. Proof is any of: that record carries `runner`, `onDeadline` or `executor`; there is a runner.lock beside it;
  /// the id is in the queue. A record that can't be read is no proof.
  [[nodiscard]] bool is_ours(const TaskId& id);

 private:
  [[nodiscard]] bool is_queued(const TaskId& id);

  const Session& session_;
  std::optional<std::unordered_set<std::string>> queued_;
};

}  // namespace perdure::store
