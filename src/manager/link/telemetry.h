#pragma once

#include <perdure/task.h>
#include <perdure/telemetry.h>

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

namespace perdure::manager {

/// Reports events to the file and to the sink, if they are set (docs/reference/telemetry.md). Thread-safe.
///
/// All processes of a session may share the file, so each event is written once, by the process that caused it: the
/// start and the end of a task by its runner; the end of a task whose runner was killed by the process that settled it.
/// The sink receives the events in which this manager takes part: the tasks that it starts, their ends once it learns
/// of them, and the tasks that it settles.
class Telemetry {
 public:
  Telemetry(const std::string& file, std::shared_ptr<TelemetrySink> sink);

  [[nodiscard]] bool is_wanted() const { return file_ || sink_; }

  /// This manager started a task that is in the background by now. The sink receives it once.
  void started(const Task& task);

  /// The same for a task without a runner: no other process reports its start, so it is written to the file, too.
  void started_alone(const Task& task);

  /// A task was found to have ended. The sink receives it once, if this manager started it.
  void found_ended(const Task& task);

  /// This manager has committed the end of a task. `runs_on_end`: may the commands in its record be run (L51)?
  void settled(const Task& task, bool runs_on_end);

  /// Also passes those ends to a callback (for the hooks, which a living runner would have run). Call it first.
  void on_settled(std::function<void(const Task&, bool)> heard) { heard_ = std::move(heard); }

  struct Wait {
    std::string_view outcome;  ///< completed, timed_out, no_tasks
    std::optional<std::chrono::milliseconds> timeout;
    std::int64_t waited_ms = 0;
    bool has_task_id = false;
    std::int64_t extra_completed = 0;
  };
  void waited(const Wait& wait);

  void question_answered();
  void question_dismissed();

 private:
  void to_file(std::string_view event, const std::string& line) const;
  void to_sink(std::string_view event, const std::string& line) const;
  void to_both(std::string_view event, const std::string& line) const;

  std::shared_ptr<TelemetrySink> file_, sink_;
  std::function<void(const Task&, bool)> heard_;
  std::mutex mutex_;
  std::map<TaskId, bool> started_;  // started here, and whether the sink received the end; for the sink only
};

}  // namespace perdure::manager
