#pragma once

#include "runner/os/fd.h"
#include "runner/os/text.h"

#include <cstdint>
#include <string_view>

namespace runner {

/// A task's place among those that wait for a slot (L05): a file in queue/, named so that the order of the names is the
/// order of the starts, and the lock beside them under which places and slots are given away.
///
/// `<999 - priority>-<number>-<id>.json`, or `after-<number>-<id>.json` while it waits for another task to end and is
/// in nobody's way. The content is the manager's: the whole launch specification, so that a dead entry can be started
/// again. An entry counts while its runner lives.
class Queue {
 public:
  using Name = Text<112>;
  using Id = Text<72>;

  /// Finds queue/, making it if need be. 0 or -errno.
  [[nodiscard]] int open(int session_folder, int tasks_folder, std::string_view task_id);

  /// Waits for the lock of all admissions. 0 or -errno.
  [[nodiscard]] int lock();
  void unlock() { lock_.reset(); }

  /// Puts the entry there, durably. `follows`: behind another task first. 0 or -errno; then there is none.
  [[nodiscard]] int enter(unsigned priority, std::int64_t number, bool follows, std::string_view text);
  /// The entry is there already: this runner takes the place of another. Called with the task's runner.lock. -ESTALE: it
  /// is not the one that was read any more, and what it was read for must not run; `inode` 0: not known.
  [[nodiscard]] int adopt(std::string_view name, std::uint64_t inode);
  /// From behind another task to a place of its own. 0 or -errno.
  [[nodiscard]] int compete(unsigned priority);
  [[nodiscard]] bool follows() const;
  void leave();

  /// The live entry right before this one, or before the end of the queue if there is no entry; empty: none.
  /// -errno where the folder can't be read.
  [[nodiscard]] int nearest_before(Id& id) const;
  /// Does the first entry that competes for a slot, or one that waits for another task, have no live runner (L50)?
  /// Entries of `task_id` do not count. Makes nothing.
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
