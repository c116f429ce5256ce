#pragma once

#include "base/fd.h"
#include "store/session.h"

#include <optional>
#include <string>
#include <string_view>

namespace perdure::manager {

/// Is this session a copy of the one in which the task was started? What its record says of processes is then about
/// another session's task (L52). False where the record does not say in which folder that was, as those of 0.1.0.
[[nodiscard]] bool is_copy(const store::Session& session, const Task& task);

/// The process that runs as the runner of a task, held by a pidfd, so that it can't be mistaken for another one later.
struct RunnerProcess {
  Fd pidfd;
  ProcessIdentity identity;
  bool is_stopped = false;  ///< frozen by a signal or a debugger: it answers nothing until it continues
};

/// Looked for by what runner.lock and the record name, and believed only if that very process says in its environment
/// that it is this task's runner. Absent: there is none in this pid namespace, or it can't be read.
[[nodiscard]] std::optional<RunnerProcess> find_runner_process(const store::Session& session, const Task& task);

/// What a stop asks for where the runner can't be reached by its socket: it is left in tasks/<id>/stop.wish, durably,
/// and the runner reads it when it gets SIGTERM, or whoever recovers the task (L53).
struct StopWish {
  std::int64_t grace_ms = -1;  ///< -1: the task's own
  bool is_quiet = false;
  std::string escaped_reason;
};
[[nodiscard]] Result<> leave_stop_wish(const store::Session& session, const TaskId& id, const StopWish& wish);
[[nodiscard]] std::optional<StopWish> read_stop_wish(const store::Session& session, const TaskId& id);

}  // namespace perdure::manager
