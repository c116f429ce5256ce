#pragma once

#include "far/far_task.h"
#include "far/host.h"
#include "manager/link/telemetry.h"
#include "store/session.h"
#include <perdure/manager.h>

#include <functional>

// The local record and log of a task on another host. They are never ahead of those there: the bytes of the log are
// copied before the record that counts them. Any number of processes may do this at once; each step holds the task's
// runner.lock, and a step that another process has done already changes nothing.
namespace perdure::manager {

/// Bytes of the log that were copied.
[[nodiscard]] std::int64_t mirrored_bytes(const store::Session& session, const TaskId& id);

/// Appends the bytes after those copied already. Errors: session_unusable if there is a gap before `offset`.
[[nodiscard]] Result<> add_output(const store::Session& session, const TaskId& id, std::int64_t offset,
                                  std::string_view bytes);

/// The task is known on the other host, and this is its record there: makes the local record, or updates it, or ends
/// it. Returns the record.
[[nodiscard]] Result<Task> take_over(const store::Session& session, Telemetry& telemetry, const TaskId& id,
                                     const Task& there, const far::Welcome& from);

/// An end that is not in a record there: it never started, or the host does not know it any more.
struct FarEnd {
  Status status = Status::lost;
  std::optional<Evidence> evidence;
  std::string reason;
  std::optional<std::string> timed_out_by = {};
  std::optional<int> exit_code = {};
  std::string state = {}, engine_reason = {}, exit = {};  ///< the engine's last report
};
[[nodiscard]] Result<Task> end_without_record(const store::Session& session, Telemetry& telemetry, const TaskId& id,
                                              const FarEnd& end);

/// Updates the executor's state in the record of a running task, if `differs` says so.
[[nodiscard]] Result<> update_executor(const store::Session& session, const TaskId& id,
                                       const std::function<void(ExecutorState&)>& change,
                                       const std::function<bool(const ExecutorState&)>& differs);

/// Notes that the host does not answer; the status stays.
[[nodiscard]] Result<> note_silence(const store::Session& session, const TaskId& id, const std::string& why);

}  // namespace perdure::manager
