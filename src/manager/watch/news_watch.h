#pragma once

#include "base/fd.h"
#include "store/session.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace perdure::manager {

/// Wakes up when notifications may have changed: a record was renamed into its place, a claim ended, a runner may have
/// died. One inotify instance, while a caller waits; if none is available, it wakes up once a second.
class NewsWatch {
 public:
  explicit NewsWatch(const store::Session& session);

  /// Watches the folders that exist by now. Call before reading, so that no change is missed before the sleep. Returns
  /// true when the folder of the records is watched only since now: all tasks have to be read.
  [[nodiscard]] bool arm();

  /// A killed runner sends nothing, but its lock file is closed.
  void watch_runner(const TaskId& id);

  struct News {
    bool cancelled = false;
    bool claim_ended = false;           ///< or is about to end: inotify reports the closing before the lock is released
    std::vector<TaskId> runners_ended;  ///< locks of these were closed, likewise
    std::vector<TaskId> records_came;   ///< their runners are watched since now: one may have died before
    bool lost_track = false;            ///< events were missed: all tasks have to be read
  };
  /// Sleeps until an event, `until` (steady clock), or until `cancel_fd` is readable.
  [[nodiscard]] News sleep(std::optional<std::int64_t> until, int cancel_fd);

 private:
  bool watch(const std::string& path, std::uint32_t mask);
  void watch_down_to(const std::string& path, std::uint32_t mask);
  void note_refusal(int wd);
  void drain(News& news);

  store::Session session_;
  Fd files_;
  std::map<int, TaskId> runners_;
  int records_ = -1;
  bool is_blind_ = false;  // a folder could not be watched: the system has no more watches
};

}  // namespace perdure::manager
