#include "cli/start/conditions.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/time_left.h"
#include "cli/console/print.h"
#include "cli/console/text.h"
#include "conditions/line_match.h"
#include "patterns/pattern.h"

#include <fmt/format.h>

#include <algorithm>

namespace perdure::cli {
namespace {

using std::chrono::milliseconds;

Result<Met> await_match(TaskManager& manager, const TaskId& id, const Conditions& conditions, const TimeLeft& time) {
  auto match = patterns::match_lines(manager, id, *conditions.match);
  if (!match) return std::unexpected(match.error());
  if (conditions.since_now) {
    auto now = manager.output_snapshot(id, 0);
    if (!now) return std::unexpected(now.error());
    match->start_at(now->size_bytes);
  }
  const Interrupts interrupts;
  while (true) {
    auto matched = match->look();
    if (!matched) return std::unexpected(matched.error());
    if (*matched) return Met::yes;
    if (match->is_at_end()) return Met::ended;
    if (interrupts.came()) return Met::interrupted;
    if (time.over()) return Met::timed_out;
    auto patience = time.left();
    if (const auto settles = match->settles_in()) patience = std::min(patience.value_or(*settles), *settles);
    if (auto more = manager.await_output(id, match->offset(), patience, Cancellation::when_readable(interrupts.fd()));
        !more)
      return std::unexpected(more.error());
  }
}

Result<Met> await_ready(TaskManager& manager, const TaskId& id, conditions::ReadyCheck& ready, const TimeLeft& time) {
  const Interrupts interrupts;
  while (true) {
    auto is_ready = ready.look();
    if (!is_ready) return std::unexpected(is_ready.error());
    if (*is_ready) {
      if (!ready.note().empty()) note("perdure: " + harmless_line(ready.note()));
      return Met::yes;
    }
    // No event reports that a port opens: it is checked again after a moment.
    auto waited = manager.wait({.ids = {id},
                                .timeout = time.slice(conditions::kReadyEvery),
                                .cancel = Cancellation::when_readable(interrupts.fd()),
                                .part_of_longer_wait = true});
    if (!waited) return std::unexpected(waited.error());
    if (!waited->ended.empty() || !waited->unverified.empty()) {
      auto last = ready.look();  // the task may have put a server into the background
      if (last && *last) return Met::yes;
      if (const std::string line = conditions::address_in_use(manager, id); !line.empty())
        note(fmt::format("perdure: {} could not listen: {}", id.str(), harmless_line(line)));
      return Met::ended;
    }
    if (interrupts.came()) return Met::interrupted;
    if (time.over()) return Met::timed_out;
  }
}

}  // namespace

Result<Conditions> read_conditions(const Call& call) {
  Conditions conditions{.match = call.value("--match"), .ready = {}, .since_now = call.has("--since-now")};
  if (const auto where = call.value("--ready")) {
    auto condition = conditions::parse_ready(*where);
    if (!condition)
      return fail(ErrorCode::usage, fmt::format("--ready: '{}': {}", harmless_line(*where), condition.error().message));
    conditions.ready.emplace(*condition, call.has("--ready-owned"));
  }
  // Called before the task is started, or waited for (L62).
  if (conditions.match)
    if (auto compiled = patterns::Pattern::compile(*conditions.match); !compiled)
      return fail(ErrorCode::usage,
                  fmt::format("--match: '{}': {}", harmless_line(*conditions.match), compiled.error().message));
  if (conditions.since_now && !conditions.match) return fail(ErrorCode::usage, "--since-now is for --match");
  return conditions;
}

Result<Met> await_conditions(TaskManager& manager, const TaskId& id, Conditions& conditions,
                             std::optional<milliseconds> timeout, bool is_new) {
  const TimeLeft time(timeout);
  if (conditions.ready) {
    conditions.ready->watch(manager, id, is_new);
    auto ready = await_ready(manager, id, *conditions.ready, time);
    if (!ready || *ready != Met::yes) return ready;
  }
  if (conditions.match) return await_match(manager, id, conditions, time);
  return Met::yes;
}

}  // namespace perdure::cli
