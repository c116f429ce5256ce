#include "base/error.h"
#include "base/json_writer.h"
#include "cli/console/call.h"
#include "cli/console/print.h"
#include "cli/console/text.h"
#include "cli/start/sweep.h"
#include "cli/verbs/verbs.h"

#include <fmt/format.h>

namespace perdure::cli {
namespace {

constexpr Option kRemoveOptions[] = {kYesOption};

Result<int> remove(Call& call) {
  auto ids = call.ids(Call::Use::acts);
  if (!ids) return std::unexpected(ids.error());
  if (ids->empty()) return fail(ErrorCode::task_id_empty, "no task id: name the ended tasks to remove");
  auto manager = call.manager();
  if (!manager) return std::unexpected(manager.error());
  std::optional<Error> error;
  JsonArray gone;
  for (const auto& id : *ids) {
    auto removed = (*manager)->upkeep().remove(id);
    if (removed) {
      gone.add(id.str());
    } else if (error && !call.json) {
      note("perdure: " + removed.error().message);
    } else if (!error) {
      error = removed.error();
    }
  }
  if (error) return std::unexpected(*error);
  if (call.json) put_line(JsonObject().add("removed", gone.json()).str());
  return 0;
}

}  // namespace

const Verb kRemoveVerb{"remove", "ID...", "remove ended tasks with their output", kRemoveOptions, remove, true};

}  // namespace perdure::cli
