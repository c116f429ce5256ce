#pragma once

#include "base/fd.h"
#include "contract/names.h"
#include "store/session.h"

#include <optional>

namespace perdure::manager {

/// One idempotency key while its task is being started (L06). Two starts with the same key wait for one another
/// here; a start that was killed leaves a key whose task is not there, which counts for nothing. Names of tasks (L65) are
/// kept in the same way, in a folder of their own.
class KeyReservation {
 public:
  /// Errors: usage (not 1 to 120 bytes).
  [[nodiscard]] static Result<> check(const std::string& key);

  /// Waits until nobody else is starting a task with this key, which was checked.
  [[nodiscard]] static Result<KeyReservation> take(const store::Session& session, const std::string& key,
                                                   const char* folder = contract::kKeysDir);

  /// The id that is noted under a key, without waiting for anybody and without making anything.
  [[nodiscard]] static std::optional<TaskId> look_up(const store::Session& session, const std::string& key,
                                                     const char* folder);

  /// The task that was noted under this key, if it is there. Waits, for a second or so, where whoever started it was
  /// killed and its runner is still at it.
  [[nodiscard]] std::optional<TaskId> find_known(const store::Session& session) const;

  /// The id that was noted last, whether or not its task is there.
  [[nodiscard]] const std::optional<TaskId>& known() const { return known_; }

  /// Durable before the launch, its name too: a task that runs can be found by its key.
  [[nodiscard]] Result<> note(const TaskId& id);

 private:
  [[nodiscard]] static std::string file_of(const store::Session& session, const std::string& key, const char* folder);
  Fd file_;
  std::string path_;
  std::optional<TaskId> known_;
};

}  // namespace perdure::manager
