#include "cli/start/attach.h"

#include "cli/console/call.h"
#include "cli/verbs/verbs.h"

namespace perdure::cli {
namespace {

constexpr Option kAttachOptions[] = {
    {"--read-only", nullptr, "only watch; any number may"},
    {"--detach-keys", "ctrl-X|none", "the key that leaves (else as configured)"},
    kYesOption,
};

Result<int> run_attach(Call& call) {
  auto config = call.config();
  if (!config) return std::unexpected(config.error());
  const bool read_only = call.has("--read-only");
  auto id = call.id(read_only ? Call::Use::looks : Call::Use::acts);
  if (!id) return std::unexpected(id.error());
  auto manager = call.manager();
  if (!manager) return std::unexpected(manager.error());
  return attach(**manager, *id, call.value("--detach-keys").value_or((*config)->detach_keys.value), read_only);
}

}  // namespace

const Verb kAttachVerb{"attach",       "ID",       "type into a task that runs, and see what it prints",
                       kAttachOptions, run_attach, true};

}  // namespace perdure::cli
