#include "base/error.h"
#include "cli/console/call.h"
#include "cli/console/print.h"
#include "cli/verbs/verbs.h"

#include <fmt/format.h>

#include <algorithm>

namespace perdure::cli {
namespace {

constexpr Option kDetachOptions[] = {
    {"--timeout", "D", "its deadline from now on, 0: none (default: what run asked for, else it stays)"},
    kYesOption,
};

Result<int> detach(Call& call) {
  auto id = call.id(Call::Use::acts);
  auto timeout = call.duration("--timeout");
  if (!id) return std::unexpected(id.error());
  if (!timeout) return std::unexpected(timeout.error());
  auto manager = call.manager();
  if (!manager) return std::unexpected(manager.error());
  auto task = (*manager)->detach(*id, *timeout);
  if (!task) return std::unexpected(task.error());
  note_done(fmt::format("detached {}", task->id.str()));
  put_line(call.json ? task_json(*task) : fmt::format("{}  {}", task->id.str(), outcome_text(*task)));
  return 0;
}

}  // namespace

const Verb kDetachVerb{"detach", "ID", "let a foreground task go on in the background", kDetachOptions, detach, true};

}  // namespace perdure::cli
