#pragma once

#include "base/fd.h"
#include "codec/agent_plan.h"
#include "manager/link/runner_client.h"
#include "store/session.h"

#include <string>

namespace perdure::manager {

/// What the driver of a subagent shares with its runner and with everybody who looks at its task. Not thread-safe.
class AgentSide {
 public:
  /// For the task that this process is a part of. Errors: usage where it is no subagent's; record_invalid.
  [[nodiscard]] static Result<AgentSide> open(const std::string& session);

  [[nodiscard]] const TaskId& task() const { return task_; }
  [[nodiscard]] const codec::AgentPlan& plan() const { return plan_; }

  /// The activity, to be appended to. Errors: storage_full, session_unusable.
  [[nodiscard]] Result<Fd> open_activity() const;

  /// Puts it into the record, durably. False: the outcome is decided already, or the runner has gone.
  [[nodiscard]] Result<bool> note(const codec::AgentNote& note);

  /// The turn ended by itself. False: something else has decided: say nothing more (L09). `reason` of a failure, in
  /// words; cut where it is long.
  [[nodiscard]] Result<bool> completed();
  [[nodiscard]] Result<bool> failed(const std::string& reason);
  /// The turn did not end: there was an error. Counts as the outcome unless the task is being stopped (L14).
  [[nodiscard]] Result<bool> broke(const std::string& reason);

  /// Readable once the runner has gone: nobody looks after this task any more, so it has to end.
  [[nodiscard]] int runner_fd() const { return runner_.fd(); }

 private:
  AgentSide(store::Session session, TaskId task, codec::AgentPlan plan, RunnerClient runner)
      : session_(std::move(session)), task_(std::move(task)), plan_(std::move(plan)), runner_(std::move(runner)) {}
  Result<bool> tell(const std::string& line);

  store::Session session_;
  TaskId task_;
  codec::AgentPlan plan_;
  RunnerClient runner_;
};

}  // namespace perdure::manager
