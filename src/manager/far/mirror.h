#pragma once

#include "far/far_task.h"
#include "far/host.h"
#include "manager/link/telemetry.h"
#include "store/session.h"
#include <perdure/manager.h>

#include <functional>

// The record and the log here of a task that runs elsewhere. Never ahead of those there: the bytes of the log are
// copied before the record that counts them. Any number of processes may do this at once; each step holds the task's
// runner.lock, and what another one has done already is left as it is.
namespace perdure::manager {

/// Bytes of the log that are here.
[[nodiscard]] std::int64_t mirrored_bytes(const store::Session& session, const TaskId& id);

/// Adds what lies behind the bytes that are here. Errors: session_unusable where there is a gap before `offset`.
[[nodiscard]] Result<> add_output(const store::Session& session, const TaskId& id, std::int64_t offset,
                                  std::string_view bytes);

/// The task is known at the place, and this is its record there: makes the record here, or brings it up to date, or
/// ends it. Returns the record.
[[nodiscard]] Result<Task> take_over(const store::Session& session, Telemetry& telemetry, const TaskId& id,
                                     const Task& there, const far::Welcome& from);

/// An end that is not read from the place: it never started, or the place does not know it any more.
struct FarEnd {
  Status status = Status::lost;
  std::optional<Evidence> evidence;
  std::string reason;
  std::optional<std::string> timed_out_by = {};
  std::optional<int> exit_code = {};
  std::string state = {}, engine_reason = {}, exit = {};  ///< the engine's last words
};
[[nodiscard]] Result<Task> end_without_record(const store::Session& session, Telemetry& telemetry, const TaskId& id,
                                              const FarEnd& end);

/// Changes what the record of a task that runs says of its place, where `differs` says so.
[[nodiscard]] Result<> update_executor(const store::Session& session, const TaskId& id,
                                       const std::function<void(ExecutorState&)>& change,
                                       const std::function<bool(const ExecutorState&)>& differs);

/// Nothing is heard from the place: changes no status.
[[nodiscard]] Result<> note_silence(const store::Session& session, const TaskId& id, const std::string& why);

}  // namespace perdure::manager
