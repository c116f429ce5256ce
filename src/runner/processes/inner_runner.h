#pragma once

#include "runner/os/fd.h"

#include <string_view>

// Runners of other tasks below this one (L40). Processes of the task choose the paths that are inspected here, so no
// access may block this runner (L53): a forked child does it, with a time limit.
namespace runner {

enum class Answer { no, yes, unknown };

/// Does `pid` run a program of the same name as this process? Costs one readlink and reads no data of that process.
[[nodiscard]] bool is_same_program(int pid);

/// Is `pid` the runner of another task? Its environment alone is no proof: the lock that it names must be held, and
/// that very process must have bound the socket beside it. `control` is then a connection to it, which the caller
/// closes; it is not connected if the backlog is full. `prober` is the pid of a child that hangs in such a check and
/// still exists, or 0. unknown: there are no descriptors or processes left for the check.
[[nodiscard]] Answer probe_runner(int pid, int* control, int* prober);

/// Reads a small file in one call; the part that does not fit is not needed.
[[nodiscard]] std::string_view read_all(const Fd& fd, char* into, unsigned long size);

[[nodiscard]] bool is_scarcity(int error);

/// Asks runners of other tasks, all at once, to stop the tasks that this one owns.
class OwnerRequests {
 public:
  /// `own_id`, `other_name`: the names of this owner; "" for none. The caller keeps them alive.
  OwnerRequests(std::string_view own_id, std::string_view other_name, long grace_ms)
      : names_{own_id, other_name}, grace_ms_(grace_ms) {}
  OwnerRequests(const OwnerRequests&) = delete;
  OwnerRequests& operator=(const OwnerRequests&) = delete;
  ~OwnerRequests();

  /// A connection to a runner; the descriptor is duplicated.
  void add(int control);

  /// How many answered that they stop. One that does not answer within `patience_ms`, which is shared by all, counts as
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
