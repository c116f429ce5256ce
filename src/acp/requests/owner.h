#pragma once

#include "acp/record/activity.h"
#include "codec/agent_plan.h"
#include "jsonrpc/peer.h"
#include <perdure/manager.h>

#include <optional>
#include <string>
#include <vector>

namespace perdure::acp {

/// Asks the owner of the subagent by a question task. Thread-safe.
class Owner {
 public:
  Owner(TaskManager& manager, const codec::AgentPlan& plan, TaskId task, Activity& activity)
      : manager_(manager), plan_(plan), task_(std::move(task)), activity_(activity) {}

  struct Reply {
    enum class How { answered, dismissed, expired, withdrawn } how = How::withdrawn;
    Answer answer;         ///< answered: by the question's text
    std::string question;  ///< id of the task, "" if the question could not be asked
  };
  /// Blocks until it is answered, its time is over, or `call` is cancelled: then it is withdrawn.
  [[nodiscard]] Reply ask(const std::vector<Question>& questions, const jsonrpc::Call& call) const;

  [[nodiscard]] PermissionPolicy policy() const { return plan_.permission; }
  [[nodiscard]] const std::string& agent() const { return plan_.agent; }

 private:
  TaskManager& manager_;
  const codec::AgentPlan& plan_;
  TaskId task_;
  Activity& activity_;
};

}  // namespace perdure::acp
