#pragma once

#include "base/fd.h"
#include "store/session.h"
#include <perdure/manager.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace perdure::manager {

/// Detects changes of the records of a session by any process (docs/internals/disk-format.md, "Events").
///
/// One inotify instance, made by the first call: a user may have 128 of them. If none is available, or the folder can't
/// be watched, the records are scanned once a second instead. Tasks of the oldest format, a folder each, give no
/// events. Thread-safe; an event goes to exactly one caller.
class EventWatch {
 public:
  /// `uses_inotify` false: only the timer.
  explicit EventWatch(store::Session session, bool uses_inotify = true);

  /// Readable when read() may have events. Starts the watch; later events are returned by read().
  [[nodiscard]] Result<int> fd();

  /// The events since the last call, in order of seq. Events of records without a seq (other programs') have seq 0 and
  /// are placed by their time. Starts the watch if fd() has not, and then returns nothing.
  [[nodiscard]] Result<std::vector<Event>> read();

 private:
  // Which events of a task were reported. Flags are only ever set, so that an old record read late changes nothing.
  struct Told {
    bool started = false, terminated = false;
    std::optional<std::int64_t> timeout_ms, timeout_from;
    std::int64_t attempts = 0;  // that have ended
    std::int64_t pid = 0;       // of the present one
    bool queued = false;
    std::optional<int> queue_place;
  };
  struct Changes {
    bool everything = false;
    bool queue = false;
    std::set<std::string> ids;
  };

  Result<> start();
  Changes drain();
  void arm();
  bool watch(const std::string& path, std::uint32_t mask);
  bool watch_down_to_session();
  void use_timer(bool on);
  [[nodiscard]] Result<std::vector<Task>> read_changed(const Changes& changes) const;
  void tell(Task task, std::vector<Event>& events);
  void tell_places(std::vector<Task> queued, std::vector<Event>& events);

  const store::Session session_;
  const bool uses_inotify_;
  std::mutex mutex_;
  Fd waker_;  // an epoll over the two below, so that one descriptor stays the same in both modes
  Fd files_, timer_;
  bool timer_on_ = false;
  bool failed_before_ = false;  // some records could not be read: all are read next time
  struct Watched {
    std::string path;
    bool records = false;
  };
  std::map<int, Watched> watched_;
  std::map<std::string, Told> told_;
};

/// The events started and terminated of one record, if they are after `since`.
void append_recorded_events(const store::Session& session, const Task& task, std::int64_t since,
                            std::vector<Event>& events);

void sort_events(std::vector<Event>& events);

}  // namespace perdure::manager
