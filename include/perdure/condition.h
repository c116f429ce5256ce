#pragma once

#include <perdure/manager.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace perdure {

/// What a task can be waited for besides its end (I10-I13): that it serves a port, or prints a line.
///
///     auto ready = Condition::ready("http://localhost:8080/");   // before the start: it notes who has the port already
///     auto task = manager->start({.shell_line = "npm run dev"});
///     auto awaited = await_condition(*manager, task->id, *ready, {.timeout = 30s, .is_new = true});
///     if (awaited && awaited->how == Awaited::How::met) ...
///
/// A value that may be moved, and used for one task at a time.
class PERDURE_API Condition {
 public:
  /// `tcp:PORT`: a process of the task's tree listens on that port. `http://localhost:PORT/PATH`: and it answers with a
  /// status below 500. `tcp:any:PORT`, `http+any://...`: any process may listen. `owned`: a listener outside the tree that
  /// appears later is an error instead of a note. Errors: usage.
  [[nodiscard]] static Result<Condition> ready(std::string_view where, bool owned = false);

  /// A line of its output, without its end, for which `test` is true. A line is looked at each time that it grows;
  /// `ends` tells that it is finished, or has not grown for 200 ms. Of a long one the first 16 KiB are looked at. The
  /// library brings no regular expressions of its own: std::regex, RE2 and others fit in here.
  using LineTest = std::function<bool(std::string_view line, bool ends)>;
  [[nodiscard]] static Condition line(LineTest test);
  /// A line that contains `text`.
  [[nodiscard]] static Condition text(std::string text);

  Condition(Condition&&) noexcept;
  Condition& operator=(Condition&&) noexcept;
  ~Condition();

 private:
  struct State;
  explicit Condition(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
  friend struct ConditionAccess;
};

struct ConditionWait {
  std::optional<std::chrono::milliseconds> timeout = {};  ///< absent: for ever
  Cancellation cancel = {};                               ///< returns at once, as if the time had passed
  bool is_new = false;                                    ///< ready: the task was started after the condition was made
  std::int64_t offset = 0;                                ///< line: only what it printed from there on
};

struct Awaited {
  enum class How {
    met,
    ended,     ///< the task ended without
    timed_out  ///< the time passed, or it was cancelled; the task runs on
  };
  How how = How::timed_out;
  std::string line = {};  ///< line: the one that matched
  std::string note =
      {};  ///< ready: who listens, where that is not the task; ended: the line that says its port was in use
};

/// Blocks until the condition holds, the task has ended or the time is over. Errors: task_not_found; of `ready`:
/// task_launch_failed where the port belonged to another process before the task was started, naming it.
[[nodiscard]] PERDURE_API Result<Awaited> await_condition(TaskManager& manager, const TaskId& id, Condition& condition,
                                                          const ConditionWait& options = {});

}  // namespace perdure
