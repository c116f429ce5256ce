#pragma once

#include "jsonrpc/peer.h"
#include <perdure/manager.h>

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace perdure::rpc {

/// What one subscriber has still to take. At most kMost events wait; then, if it took nothing for kPatienceMs, the feed
/// overflows: it is emptied and takes nothing more (V31).
class Feed {
 public:
  static constexpr std::size_t kMost = 1024, kMostEver = 8192;
  static constexpr std::int64_t kPatienceMs = 10'000;

  struct Item {
    std::shared_ptr<const Event> event;
    std::uint64_t round = 0;  ///< of the look that found it
  };
  enum class Got { item, overflow, closed, failed };

  /// Blocks. The caller is then busy with the item until it calls again.
  [[nodiscard]] Got next(Item& item);
  void push(const std::shared_ptr<const Event>& event, std::uint64_t round);
  void fail(std::string why);
  void close();
  [[nodiscard]] std::string failure() const;
  [[nodiscard]] bool is_closed() const;
  /// The subscriber is busy with what it got otherwise.
  void note_busy();

 private:
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Item> waiting_;
  std::int64_t taken_at_ = 0;  // steady; when the subscriber last came for an item
  bool busy_ = false, overflowed_ = false, closed_ = false;
  std::string failure_;
};

/// Hands the events of a session to any number of feeds. One thread, made for the first of them. Thread-safe.
class Hub {
 public:
  explicit Hub(TaskManager& manager) : manager_(manager) {}
  ~Hub();
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  /// From now on everything that happens is pushed to the feed, until nobody else holds it.
  [[nodiscard]] Result<> add(const std::shared_ptr<Feed>& feed);

  /// Number of looks that have begun. What had happened before a call of this is found by a look with at most the number
  /// returned plus one.
  [[nodiscard]] std::uint64_t round() const { return round_; }

 private:
  void run(int event_fd);
  void look();

  TaskManager& manager_;
  std::mutex mutex_;
  std::vector<std::weak_ptr<Feed>> feeds_;
  std::thread thread_;
  jsonrpc::Signal stop_;
  std::atomic<std::uint64_t> round_ = 0;
};

}  // namespace perdure::rpc
