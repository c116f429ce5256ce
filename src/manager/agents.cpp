#include <perdure/agent.h>

namespace perdure {

std::string_view name_of(PermissionPolicy policy) {
  switch (policy) {
    case PermissionPolicy::allow: return "allow";
    case PermissionPolicy::deny: return "deny";
    case PermissionPolicy::ask: return "ask";
  }
  return "";
}

std::vector<AgentDefinition> built_in_agents() {
  return {};
}

}  // namespace perdure
