#include "cli/start/sweep.h"

#include "base/error.h"
#include "cli/console/call.h"
#include "cli/console/print.h"
#include "cli/console/text.h"
#include "cli/verbs/verbs.h"

#include <fmt/format.h>

namespace perdure::cli {
namespace {

// Started by sweep_in_background(): no process reads its output or waits for it.

Result<int> sweep(Call& call) {
  leave_the_caller();
  auto config = call.config();
  if (!config) return std::unexpected(config.error());
  auto manager = call.manager();
  if (!manager) return std::unexpected(manager.error());
  auto removed = (*manager)->upkeep().collect_garbage(retention_options(**config));
  if (!removed) return std::unexpected(removed.error());
  return 0;
}

}  // namespace

const Verb kSweepVerb{"__sweep", "", "what a start begins once a day", {}, sweep, false, true};

}  // namespace perdure::cli
