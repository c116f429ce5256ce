#include "base/error.h"
#include "base/fd.h"
#include "cli/console/call.h"
#include "cli/console/print.h"
#include "cli/console/text.h"
#include "cli/verbs/verbs.h"

#include <poll.h>
#include <unistd.h>

#include <fmt/format.h>

#include <cerrno>

namespace perdure::cli {
namespace {

constexpr Option kExtendOptions[] = {
    {"--timeout", "D", "how long it may run from now on; 0: without a deadline"},
    kYesOption,
};

Result<int> extend(Call& call) {
  auto id = call.id(Call::Use::acts);
  auto timeout = call.duration("--timeout");
  if (!id) return std::unexpected(id.error());
  if (!timeout) return std::unexpected(timeout.error());
  if (!*timeout) return fail(ErrorCode::usage, "how long? perdure extend ID --timeout 10m; 0: without a deadline");
  auto manager = call.manager();
  if (!manager) return std::unexpected(manager.error());
  auto task = (*manager)->extend(*id, **timeout);
  if (!task) return std::unexpected(task.error());
  if (call.json) put_line(task_json(*task));
  return 0;
}

}  // namespace

const Verb kExtendVerb{"extend", "ID", "give a task more time, from now", kExtendOptions, extend, true};

}  // namespace perdure::cli
