#pragma once

#include <perdure/task.h>

namespace perdure {

struct SessionState;

enum class EventType { started, updated, terminated };

struct Event {
  EventType type = EventType::started;
  std::int64_t seq = 0;  ///< grows within a session; see docs/internals/disk-format.md
  TimePoint time = {};
  Task task;
  std::string output_tail = {};  ///< terminated: the last 1,024 bytes at most, valid UTF-8
};

/// What happens in a session, whichever process does it: TaskManager::events(). Thread-safe; the watch is one for the whole
/// TaskManager, so that of several threads that read() each gets what the others have not got.
class PERDURE_API Events {
 public:
  /// A descriptor that becomes readable when read() may have something new. Owned by the manager.
  [[nodiscard]] Result<int> fd() const;

  /// Events after `seq`, in order of their seq. 0: all that the records still tell.
  [[nodiscard]] Result<std::vector<Event>> since(std::int64_t seq) const;

  /// What happened since the last call, by any process. The first call starts the watch and returns nothing.
  [[nodiscard]] Result<std::vector<Event>> read() const;

 private:
  friend class TaskManager;
  explicit Events(SessionState& state) : state_(&state) {}
  SessionState* state_;
};

}  // namespace perdure
