#pragma once

#include "runner/os/fd.h"
#include "runner/os/text.h"

#include <cstdint>
#include <string_view>

namespace runner {

/// A task's place in the queue (L05): a file in queue/, named so that the names sort in the order of the starts. A lock
/// beside the files protects the assignment of places and slots.
///
/// `<999 - priority>-<number>-<id>.json`, or `after-<number>-<id>.json` while it waits for another task to end and does
/// not compete for a slot. The manager writes the content: the whole launch specification, so that a dead entry can be
/// started again. An entry counts while its runner lives.
class Queue {
 public:
  using Name = Text<112>;
  using Id = Text<72>;

  /// Opens queue/, making it if needed. 0 or -errno.
  [[nodiscard]] int open(int session_folder, int tasks_folder, std::string_view task_id);

  /// Waits for the lock on all admissions. 0 or -errno.
  [[nodiscard]] int lock();
  void unlock() { lock_.reset(); }

  /// Makes the entry, durably. `follows`: it waits for another task first. 0 or -errno; on failure there is no entry.
  [[nodiscard]] int enter(unsigned priority, std::int64_t number, bool follows, std::string_view text);
  /// Uses the existing entry of another runner, which this one replaces. Call with the task's runner.lock held. `inode`: of
  /// the entry that the specification was read from; 0: unknown. -ESTALE: the entry is another one, and the specification
  /// must not be run.
  [[nodiscard]] int adopt(std::string_view name, std::uint64_t inode);
  /// Changes an entry that waited for another task into one that competes for a slot. 0 or -errno.
  [[nodiscard]] int compete(unsigned priority);
  [[nodiscard]] bool follows() const;
  void leave();

  /// The live entry right before this one, or the last one if this task has no entry; empty: none. -errno if the folder
  /// can't be read.
  [[nodiscard]] int nearest_before(Id& id) const;
  /// Does the first competing entry, or one that waits for another task, have no live runner (L50)? Entries of
  /// `task_id` do not count. Creates nothing.
  [[nodiscard]] static bool has_stalled(int session_folder, int tasks_folder, std::string_view task_id);
  /// How many live entries compete for a slot.
  [[nodiscard]] int count() const;

 private:
  template <class F>
  int each_name(F&& visit) const;
  [[nodiscard]] bool is_live(std::string_view id) const;
  [[nodiscard]] int make_durable();

  int session_ = -1, tasks_ = -1;
  std::string_view task_id_;
  Fd folder_, lock_;
  Name name_;
};

}  // namespace runner
