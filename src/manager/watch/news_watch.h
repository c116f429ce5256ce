#pragma once

#include "base/fd.h"
#include "store/session.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace perdure::manager {

/// Tells when to look for news again: a record was renamed into its place, a claim ended, a runner may have died. One
/// inotify instance, for as long as somebody waits; where none is to be had, a look a second.
class NewsWatch {
 public:
  explicit NewsWatch(const store::Session& session);

  /// Watches what is there by now. Before looking, so that nothing falls between the look and the sleep.
  void arm();

  /// A runner that is killed says nothing; but its lock file is closed.
  void watch_runner(const TaskId& id);

  struct News {
    bool cancelled = false;
    bool claim_ended = false;           ///< or is just about to: closing is told before unlocking
    std::vector<TaskId> runners_ended;  ///< the same for these
    bool lost_track = false;            ///< anything may have happened: all tasks are to be looked at
  };
  /// Sleeps until something happened, `until` (steady clock) or `cancel_fd` is readable.
  [[nodiscard]] News sleep(std::optional<std::int64_t> until, int cancel_fd);

 private:
  bool watch(const std::string& path, std::uint32_t mask);
  void watch_down_to(const std::string& path, std::uint32_t mask);
  void drain(News& news);

  store::Session session_;
  Fd files_;
  std::map<int, TaskId> runners_;
  int records_ = -1;
};

}  // namespace perdure::manager
