#pragma once

#include <perdure/manager.h>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

// A session's statistics for Prometheus (V80). No label contains an id, a command or a path.
namespace perdure::web {

/// Counters by name and labels: `perdure_tasks_started_total{kind="process"`, without the last brace. Those whose name
/// contains `_seconds_sum` are in ms.
struct Counters {
  std::int64_t seq = 0;  ///< events up to this number are in `values`
  std::map<std::string, std::int64_t> values;
};

/// Adds the events of `tasks` after `counters.seq` and up to `until`.
[[nodiscard]] Counters counted(Counters counters, const std::vector<Task>& tasks, std::int64_t until);

[[nodiscard]] std::string counters_json(const Counters& counters);
/// Invalid text counts as no counters: the loss is harmless.
[[nodiscard]] Counters counters_from_json(std::string_view text);

enum class MetricsFormat { prometheus, openmetrics };

/// All metrics. Counts of tasks that gc removed are kept in the file `metrics` of the session, which is written at most
/// once a minute, and only if the session has Perdure tasks. `session`: its short id.
[[nodiscard]] Result<std::string> metrics_of(TaskManager& manager, const std::string& session, MetricsFormat format);

}  // namespace perdure::web
