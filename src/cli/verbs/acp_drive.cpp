#include "acp/driver.h"
#include "cli/console/call.h"
#include "cli/verbs/verbs.h"

namespace perdure::cli {
namespace {

Result<int> run_acp_drive(Call& call) {
  auto path = call.session_path();
  if (!path) return std::unexpected(path.error());
  auto side = manager::AgentSide::open(*path);
  if (!side) return std::unexpected(side.error());
  auto manager = call.manager(Call::BadConfig::is_told);
  if (!manager) {
    [[maybe_unused]] const auto told = side->failed(manager.error().message);
    return std::unexpected(manager.error());
  }
  return acp::drive(**manager, *side);
}

}  // namespace

const Verb kAcpDriveVerb{
    "acp-drive", "", "one turn of an agent: what the runner of a subagent runs", {}, run_acp_drive, false, true};

}  // namespace perdure::cli
