#pragma once

#include "base/fd.h"
#include "contract/names.h"
#include "store/session.h"

#include <optional>

namespace perdure::manager {

/// An idempotency key while its task is being started (L06). Two starts with the same key wait for one another here. If
/// a start is killed, its key names a task that does not exist; such a key has no effect. Names of tasks (L65) are kept
/// in the same way, in a folder of their own.
class KeyReservation {
 public:
  /// Errors: usage (not 1 to 120 bytes).
  [[nodiscard]] static Result<> check(const std::string& key);

  /// Waits until no other process is starting a task with this key. The key must have been checked.
  [[nodiscard]] static Result<KeyReservation> take(const store::Session& session, const std::string& key,
                                                   const char* folder = contract::kKeysDir);

  /// The id noted under a key. Neither waits nor creates anything.
  [[nodiscard]] static std::optional<TaskId> look_up(const store::Session& session, const std::string& key,
                                                     const char* folder);

  /// The existing task that was noted under this key. Waits, for about a second, if the process that started it was
  /// killed and its runner is still starting.
  [[nodiscard]] std::optional<TaskId> find_known(const store::Session& session) const;

  /// The id noted last, whether or not its task exists.
  [[nodiscard]] const std::optional<TaskId>& known() const { return known_; }

  /// Durable before the launch, its name too, so that a running task can be found by its key.
  [[nodiscard]] Result<> note(const TaskId& id);

 private:
  [[nodiscard]] static std::string file_of(const store::Session& session, const std::string& key, const char* folder);
  Fd file_;
  std::string path_;
  std::optional<TaskId> known_;
};

}  // namespace perdure::manager
