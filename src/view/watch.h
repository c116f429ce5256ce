#pragma once

#include "base/fd.h"
#include "store/session.h"

#include <cstdint>
#include <map>
#include <set>
#include <string>

namespace perdure::view {

/// Reports which tasks of a session may have changed, without polling: records, folders of live tasks, queue and outbox
/// by one inotify instance; processes of other programs by their pidfds. If no inotify instance is available, a timer
/// reports once a second that everything may have changed. For one thread.
class Watch {
 public:
  struct Changes {
    bool everything = false;  ///< all tasks have to be read again
    bool queue = false;
    bool outbox = false;
    std::set<std::string> ids;
  };

  /// `uses_inotify` false: only the timer.
  explicit Watch(store::Session session, bool uses_inotify = true);

  /// Readable when take() has a change.
  [[nodiscard]] int fd() const { return waker_.get(); }

  /// The changes since the last call.
  [[nodiscard]] Changes take();

  /// Watches the folders that exist by now. Call before reading them.
  void arm();

  /// Watches the folder of a live task and the end of its runner. `pid`: a process of another program; 0: none.
  void add(const TaskId& id, std::int64_t pid);
  void remove(const std::string& id);

  /// Can the end of this task not be watched? Then take() names it once a second.
  void look_again(const std::string& id, bool on);

 private:
  struct Watched {
    enum class Kind { above, records, task, queue, outbox } kind = Kind::above;
    std::string id;  // of a task's folder
  };
  int watch(const std::string& path, std::uint32_t mask, Watched what);
  void drain_files(Changes& changes);
  void use_timer();

  store::Session session_;
  Fd waker_, files_, timer_;
  std::map<int, Watched> watched_;
  std::map<std::string, int> folders_;  // of tasks
  std::map<std::string, Fd> processes_;
  std::set<std::string> untold_;
  bool timer_on_ = false;
};

}  // namespace perdure::view
