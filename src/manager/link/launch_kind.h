#pragma once

#include <perdure/task.h>

#include <optional>
#include <string>
#include <vector>

namespace perdure::manager {

/// What makes a task different from a command given by the caller.
struct Work {
  const char* id_prefix = "bash-";
  bool is_agent = false;
  std::string prompt;  ///< agent: its task
  std::string subagent_type;
  std::optional<AgentId> resumes;  ///< the conversation that is resumed
  std::string plan;                ///< agent.json
  std::vector<std::string> words;  ///< agent that is to work elsewhere: options of `perdure agent` there
  std::optional<TaskId> replaces;  ///< rerun: a live task that is stopped once the new one is known to be startable
};

}  // namespace perdure::manager
