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

constexpr Option kGcOptions[] = {
    {"--older-than", "D", "tasks that ended before that"},
    {"--keep", "N", "all but the newest N"},
    {"--max-bytes", "S", "the oldest, until the rest takes no more"},
    {"--undelivered", nullptr, "also tasks with an undelivered notification"},
    {"--dry-run", nullptr, "only say what would go"},
};

Result<int> gc(Call& call) {
  auto older = call.duration("--older-than");
  auto keep = call.integer("--keep", 0, INT32_MAX);
  auto bytes = call.size("--max-bytes");
  if (!older) return std::unexpected(older.error());
  if (!keep) return std::unexpected(keep.error());
  if (!bytes) return std::unexpected(bytes.error());
  auto config = call.config();
  if (!config) return std::unexpected(config.error());
  auto manager = call.manager();
  if (!manager) return std::unexpected(manager.error());
  const bool dry = call.has("--dry-run");
  RetentionOptions options{.older_than = *older, .keep = *keep, .max_bytes = *bytes};
  if (!*older && !*keep && !*bytes) options = retention_options(**config);
  options.undelivered = call.has("--undelivered");
  options.dry_run = dry;
  auto removed = (*manager)->upkeep().collect_garbage(options);
  if (!removed) return std::unexpected(removed.error());
  if (call.json) {
    JsonArray ids;
    for (const auto& id : removed->tasks) ids.add(id.str());
    put_line(JsonObject()
                 .add("removed", ids.json())
                 .add("bytes", removed->bytes)
                 .add("litter", removed->litter)
                 .add("undelivered", removed->undelivered)
                 .add("kept", JsonArray(removed->kept).json())
                 .add("dryRun", dry)
                 .str());
    return 0;
  }
  for (const auto& id : removed->tasks) put_line(id.str());
  for (const auto& text : removed->kept) note("perdure: kept " + harmless_line(text));
  if (removed->undelivered > 0)
    note(
        fmt::format("perdure: kept {} with an undelivered notification: see `perdure notifications`, or say "
                    "--undelivered",
                    removed->undelivered));
  note(fmt::format("perdure: {} {} task{} and {} leftover file{}, {}", dry ? "would remove" : "removed",
                   removed->tasks.size(), removed->tasks.size() == 1 ? "" : "s", removed->litter,
                   removed->litter == 1 ? "" : "s", size_text(removed->bytes)));
  return 0;
}

}  // namespace

const Verb kGcVerb{"gc", "", "remove ended tasks by age, number or size; without options as configured", kGcOptions,
                   gc};

}  // namespace perdure::cli
