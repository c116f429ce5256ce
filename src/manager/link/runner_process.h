#pragma once

#include "base/fd.h"
#include "store/session.h"

#include <optional>
#include <string>
#include <string_view>

namespace perdure::manager {

/// Is this session a copy of the one in which the task was started? Then its record describes processes of another
/// session's task (L52). False if the record does not name the folder's identity, as those of 0.1.0.
[[nodiscard]] bool is_copy(const store::Session& session, const Task& task);

/// The process that is the runner of a task, held by a pidfd, so that its pid can't be reused.
struct RunnerProcess {
  Fd pidfd;
  ProcessIdentity identity;
  bool is_stopped = false;  ///< stopped by a signal or a debugger: it does not answer until it continues
};

/// Found by the pids in runner.lock and in the record, and accepted only if the environment of that very process says
/// that it is this task's runner. Absent: it is not in this pid namespace, or it can't be read.
[[nodiscard]] std::optional<RunnerProcess> find_runner_process(const store::Session& session, const Task& task);

/// A stop request for a runner whose socket can't be reached: tasks/<id>/stop.wish, durable. The runner reads it at
/// SIGTERM; if the runner is killed, the process that recovers the task reads it (L53).
struct StopWish {
  std::int64_t grace_ms = -1;  ///< -1: the task's own
  bool is_quiet = false;
  std::string escaped_reason;
};
[[nodiscard]] Result<> leave_stop_wish(const store::Session& session, const TaskId& id, const StopWish& wish);
[[nodiscard]] std::optional<StopWish> read_stop_wish(const store::Session& session, const TaskId& id);

}  // namespace perdure::manager
