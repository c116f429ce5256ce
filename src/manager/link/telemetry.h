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

/// Reports what happens to the file and to the sink, where they are wanted (docs/reference/telemetry.md). Thread-safe.
///
/// Into the file, which all processes of a session may share, each event is written once, by whoever made it happen:
/// the start and the end of a task by its runner, the end of one whose runner was killed by whoever settled it. The
/// sink hears of what this manager takes part in: the tasks it starts, their ends once it learns of them, and what it
/// settles.
class Telemetry {
 public:
  Telemetry(const std::string& file, std::shared_ptr<TelemetrySink> sink);

  [[nodiscard]] bool is_wanted() const { return file_ || sink_; }

  /// A task that this manager has started and that is in the background by now; told to the sink the first time.
  void started(const Task& task);

  /// The same for one that has no runner: nobody else reports its start, so it goes into the file, too.
  void started_alone(const Task& task);

  /// A task that was found to have ended; told to the sink the first time, if this manager started it.
  void found_ended(const Task& task);

  /// A task whose end this manager has committed itself; `runs_on_end`: may the commands of its record be run (L51)?
  void settled(const Task& task, bool runs_on_end);

  /// Has somebody else hear of those, too (the hooks, which a living runner would have told). Before anything else.
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
  std::map<TaskId, bool> started_;  // here, and whether the sink was told of the end; for the sink only
};

}  // namespace perdure::manager
