#pragma once

#include "runner/processes/inner_runner.h"

#include <cstdlib>
#include <string_view>

// The processes below this one. The runner is their subreaper: a process that loses its parent becomes its child. So a
// walk from the runner finds every descendant: setsid'd, double-forked or reparented (L12).
namespace runner {

// A list that grows; the number of processes below a task has no bound.
class Pids {
 public:
  Pids() = default;
  Pids(const Pids&) = delete;
  Pids& operator=(const Pids&) = delete;
  ~Pids() { std::free(all_); }
  void add(int pid) {
    if (used_ == room_) {
      const unsigned more = room_ == 0 ? 64 : room_ * 2;
      void* const moved = std::realloc(all_, more * sizeof(int));
      if (moved == nullptr) return;  // the next walk finds it
      all_ = static_cast<int*>(moved);
      room_ = more;
    }
    all_[used_++] = pid;
  }
  [[nodiscard]] unsigned size() const { return used_; }
  int operator[](unsigned i) const { return all_[i]; }

 private:
  int* all_ = nullptr;
  unsigned used_ = 0, room_ = 0;
};

class Tree {
 public:
  /// `own_id`: the id of the runner's task; the caller keeps it alive.
  explicit Tree(std::string_view own_id) : own_id_(own_id) {}

  /// A second name of this owner: a subagent's id. "" for none; the caller keeps it alive.
  void set_other_name(std::string_view name) { other_name_ = name; }

  /// The child that runs the command: its zombie does not count as living and is not reaped here.
  void set_command(int pid) {
    command_ = pid;
    command_ended_ = command_end_known_ = false;
  }

  /// Call when its end is known. A walk may see its zombie earlier, and then only skips it.
  void command_ended() { command_ended_ = command_end_known_ = true; }
  [[nodiscard]] bool has_command_ended() const { return command_end_known_; }

  /// Excludes a child that is no part of the task, and its descendants, while it lives.
  void leave_out(int pid);

  /// False: there is certainly no other process below. A single check instead of a walk.
  [[nodiscard]] bool has_others() const;

  /// Living descendants, except runners of other tasks and their descendants.
  [[nodiscard]] int count();

  /// Signals each of them that is not in `group`, through a pidfd, so that a reused pid is never hit.
  void signal(int signal, int group);

  /// Kills the rest and waits for it, at most `patience_ms`. The number of survivors; their pids are in survivors().
  int kill_all(long patience_ms);
  [[nodiscard]] const int* survivors() const { return survivors_; }

  /// Asks tasks that were started below this one and are owned by it to stop (L40). How many have not ended.
  int stop_owned_tasks(long grace_ms);

  /// Reaps adopted children that have exited, for a few milliseconds; never the command.
  void reap_adopted();
  /// The time was too short to reap all of them.
  [[nodiscard]] bool has_unreaped() const { return has_unreaped_; }

  static constexpr int kMaxSurvivors = 32;

 private:
  bool look(Pids& living, Pids& runners);
  template <class F>
  void walk(F&& visit);
  [[nodiscard]] bool is_ours(int pid) const;
  [[nodiscard]] bool is_left_out(int pid) const;
  Answer find_inner_runner(int pid, int* control);

  std::string_view own_id_, other_name_;
  int command_ = 0;
  bool command_ended_ = false, command_end_known_ = false;
  bool has_unreaped_ = false;
  int left_out_[4] = {};
  int survivors_[kMaxSurvivors] = {};
};

}  // namespace runner
