#pragma once

#include "view/search.h"

#include <atomic>
#include <mutex>
#include <thread>

namespace perdure::top {

/// A search in one log, in a thread of its own; matches found so far are available meanwhile.
class LogSearch {
 public:
  /// `wake` is an eventfd that is written when there are new matches. The objects that `read` uses must outlive this.
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

  /// The n-th match, from 0; absent: there is none, or not yet. The first 1,000,000 are available.
  [[nodiscard]] std::optional<Found> hit(std::size_t n) const;
  /// The number of matches that begin before `offset`.
  [[nodiscard]] std::size_t hits_before(std::int64_t offset) const;

  /// The log has grown: continues from the end, unless the search is still running.
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
  std::jthread thread_;        // last: it uses the other members
};

}  // namespace perdure::top
