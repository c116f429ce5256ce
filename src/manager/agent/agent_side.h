#pragma once

#include "base/fd.h"
#include "codec/agent_plan.h"
#include "manager/link/runner_client.h"
#include "store/session.h"

#include <string>

namespace perdure::manager {

/// The data that the driver of a subagent shares with its runner and with readers of its task. Not thread-safe.
class AgentSide {
 public:
  /// For the task inside which this process runs. Errors: usage if that is not a subagent's; record_invalid.
  [[nodiscard]] static Result<AgentSide> open(const std::string& session);

  [[nodiscard]] const TaskId& task() const { return task_; }
  [[nodiscard]] const codec::AgentPlan& plan() const { return plan_; }

  /// The activity file, opened for appending. Errors: storage_full, session_unusable.
  [[nodiscard]] Result<Fd> open_activity() const;

  /// Puts it into the record, durably. False: the outcome is decided already, or the runner has exited.
  [[nodiscard]] Result<bool> note(const codec::AgentNote& note);

  /// The turn ended by itself. False: another cause has decided, and nothing more is reported (L09). `reason` of a
  /// failure, as text; cut if it is too long.
  [[nodiscard]] Result<bool> completed();
  [[nodiscard]] Result<bool> failed(const std::string& reason);
  /// The turn broke off with an error. This is the outcome, unless the task is being stopped (L14).
  [[nodiscard]] Result<bool> broke(const std::string& reason);

  /// Readable once the runner has exited: no process manages this task any more, so the driver has to end it.
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
