#include "cli/integrations/setup.h"

#include "cli/console/call.h"
#include "cli/verbs/verbs.h"

namespace perdure::cli {
namespace {

constexpr Option kSetupOptions[] = {
    {"--remove", nullptr, "undo what setup changed, and nothing else"},
    {"--dry-run", nullptr, "show the changes, write nothing"},
    {"--yes", nullptr, "write without asking"},
    {"--owner", "O", "owner of every task (default: the client's name and the project's folder)"},
};

}  // namespace

const Verb kSetupVerb{"setup", "[AGENT...]", "find the coding agents of this machine and give Perdure to them",
                      kSetupOptions, set_up_agents};

}  // namespace perdure::cli
