#pragma once

#include "store/session.h"

#include <optional>
#include <string>
#include <unordered_set>

namespace perdure::store {

/// Which of several records of one id is the task's (L54): ours, in `<session>/tasks`, before every other; without one of
/// ours an agent's own before the one in `<session>/tasks`. Other programs write what they believe of our tasks beside
/// our records; what they write are copies, and no proof. Not thread-safe.
class Precedence {
 public:
  explicit Precedence(const Session& session) : session_(session) {}

  /// Is the task of this id one of Perdure's? Then the record in `<session>/tasks` is the only one of it; there may be
  /// none yet. Proof is any of: that record carries `runner`, `onDeadline` or `executor`; a runner.lock lies beside it; the id has a
  /// place in the queue. A record that can't be read is no proof.
  [[nodiscard]] bool is_ours(const TaskId& id);

 private:
  [[nodiscard]] bool is_queued(const TaskId& id);

  const Session& session_;
  std::optional<std::unordered_set<std::string>> queued_;
};

}  // namespace perdure::store
