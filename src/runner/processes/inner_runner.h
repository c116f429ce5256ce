#pragma once

#include "runner/os/fd.h"

#include <string_view>

// Runners of other tasks below this one (L40). Everything that is looked at here was named by a process of the task, so
// none of it may block this runner (L53): a child of ours looks, and it has a time limit.
namespace runner {

enum class Answer { no, yes, unknown };

/// Does `pid` run the same program as this process, by name? Costs one readlink and reads nothing of that process.
[[nodiscard]] bool is_same_program(int pid);

/// Is `pid` the runner of another task? Its word alone does not count: the lock that its environment names must be
/// held, and the socket beside it must have been bound by that very process. `control` is then a connection to it,
/// which the caller closes; not connected where its queue is full. `prober` is the pid of a child that was given up
/// while it looked and still exists, or 0. unknown: there are no descriptors or processes left to look with.
[[nodiscard]] Answer probe_runner(int pid, int* control, int* prober);

/// Reads a small file in one go; what does not fit is not needed.
[[nodiscard]] std::string_view read_all(const Fd& fd, char* into, unsigned long size);

[[nodiscard]] bool is_scarcity(int error);

/// Asks runners of other tasks, all at once, to stop what this task owns.
class OwnerRequests {
 public:
  /// `own_id`, `other_name`: the names by which tasks may be owned; "" for none. Kept by the caller.
  OwnerRequests(std::string_view own_id, std::string_view other_name, long grace_ms)
      : names_{own_id, other_name}, grace_ms_(grace_ms) {}
  OwnerRequests(const OwnerRequests&) = delete;
  OwnerRequests& operator=(const OwnerRequests&) = delete;
  ~OwnerRequests();

  /// A connection to a runner; it is duplicated.
  void add(int control);

  /// How many said that they stop. One that does not answer within `patience_ms`, which is common to all, counts as
  /// not owned.
  [[nodiscard]] int send_and_count(long patience_ms);

 private:
  struct Asked {
    int fd;
    int next_name;
  };
  bool send_next(Asked& one);

  std::string_view names_[2];
  long grace_ms_;
  Asked* all_ = nullptr;
  unsigned used_ = 0, room_ = 0;
};

}  // namespace runner
