#pragma once

#include <perdure/task.h>

#include <optional>
#include <string>

namespace perdure::manager {

/// What makes a task another kind of work than a command that somebody gave.
struct Work {
  const char* id_prefix = "bash-";
  bool is_agent = false;
  std::string prompt;  ///< agent: what it is to do
  std::string subagent_type;
  std::optional<AgentId> resumes;  ///< the conversation that goes on
  std::string plan;                ///< agent.json
  std::optional<TaskId> replaces;  ///< rerun: a live task that is stopped once the new one is known to be startable
};

}  // namespace perdure::manager
