#include <perdure/agent.h>

namespace perdure {

std::vector<AgentDefinition> built_in_agents() {
  return {};
}

}  // namespace perdure
