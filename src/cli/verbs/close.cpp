#include "base/error.h"
#include "base/json_writer.h"
#include "cli/console/call.h"
#include "cli/console/print.h"
#include "cli/verbs/verbs.h"

#include <fmt/format.h>

#include <algorithm>

namespace perdure::cli {
namespace {

constexpr Option kCloseOptions[] = {
    {"--keep", nullptr, "stop nothing: only say what runs on"},
};

Result<int> close(Call& call) {
  if (!call.arguments.empty()) return fail(ErrorCode::usage, "close takes no task ids: see `perdure stop`");
  auto manager = call.manager();
  if (!manager) return std::unexpected(manager.error());
  std::vector<Task> stopped;
  auto active = (*manager)->list({.leftovers = true});
  if (!active) return std::unexpected(active.error());
  if (!call.has("--keep")) {
    auto closed = (*manager)->close();
    if (!closed) return std::unexpected(closed.error());
    stopped = std::move(*closed);
  }
  std::string ids_of_stopped;
  for (const auto& task : stopped) ids_of_stopped += (ids_of_stopped.empty() ? "" : ", ") + task.id.str();
  if (!stopped.empty()) note_done("stopped " + ids_of_stopped);
  std::vector<Task> kept;
  for (auto& task : *active)
    if (std::ranges::none_of(stopped, [&](const Task& one) { return one.id == task.id; }))
      kept.push_back(std::move(task));
  if (call.json) {
    put_line(JsonObject().add("stopped", RawJson{tasks_json(stopped)}).add("kept", RawJson{tasks_json(kept)}).str());
    return 0;
  }
  for (const auto& task : stopped) put_line(fmt::format("{}  {}", task.id.str(), outcome_text(task)));
  for (const auto& task : kept) put_line(fmt::format("{}  {}: it runs on", task.id.str(), outcome_text(task)));
  if (stopped.empty() && kept.empty()) note("perdure: nothing was running");
  return 0;
}

}  // namespace

const Verb kCloseVerb{"close", "", "end the session's work: stop what lives as long as it", kCloseOptions, close};

}  // namespace perdure::cli
