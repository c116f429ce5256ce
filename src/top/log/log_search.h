#pragma once

#include "view/search.h"

#include <atomic>
#include <mutex>
#include <thread>

namespace perdure::top {

/// A search in one log, on a thread of its own; what is found so far can be looked at meanwhile.
class LogSearch {
 public:
  /// `wake` is written to, as an eventfd, when there is something new. What `read` needs must outlive this.
  LogSearch(view::Read read, view::Pattern pattern, int wake);
  ~LogSearch();
  LogSearch(const LogSearch&) = delete;
  LogSearch& operator=(const LogSearch&) = delete;

  struct Found {
    std::int64_t offset = 0, length = 0;
  };
  struct State {
    std::int64_t total = 0;
    bool done = false;
    std::string error;
  };
  [[nodiscard]] State state() const;
  [[nodiscard]] const view::Pattern& pattern() const { return pattern_; }

  /// The n-th match, from 0; absent: there is none, or not yet. The first 1,000,000 can be visited.
  [[nodiscard]] std::optional<Found> hit(std::size_t n) const;
  /// How many matches begin before `offset`.
  [[nodiscard]] std::size_t hits_before(std::int64_t offset) const;

  /// The log has grown: goes on where it ended, unless it is still on its way.
  void go_on();

 private:
  void run(const std::stop_token& stop);
  void wake() const;

  const view::Read read_;
  const view::Pattern pattern_;
  const int wake_;
  mutable std::mutex mutex_;
  std::vector<Found> hits_;
  State state_;
  std::int64_t begin_ = 0;
  std::int64_t total_before_ = 0;
  std::size_t hits_kept_ = 0;  // of those before begin_
  std::jthread thread_;        // the last: it uses the others
};

}  // namespace perdure::top
