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

/// The events that one subscriber has not taken yet. If more than kMost wait and the subscriber took none for
/// kPatienceMs, the feed overflows: it is emptied and accepts no more (V31).
class Feed {
 public:
  static constexpr std::size_t kMost = 1024, kMostEver = 8192;
  static constexpr std::int64_t kPatienceMs = 10'000;

  struct Item {
    std::shared_ptr<const Event> event;
    std::uint64_t round = 0;  ///< of the scan that found it
  };
  enum class Got { item, overflow, closed, failed };

  /// Blocks. From then on, until the next call, the caller counts as busy with the item.
  [[nodiscard]] Got next(Item& item);
  void push(const std::shared_ptr<const Event>& event, std::uint64_t round);
  void fail(std::string why);
  void close();
  [[nodiscard]] std::string failure() const;
  [[nodiscard]] bool is_closed() const;
  /// Call while the subscriber is busy with events from elsewhere.
  void note_busy();

 private:
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Item> waiting_;
  std::int64_t taken_at_ = 0;  // steady clock; when the subscriber last called next()
  bool busy_ = false, overflowed_ = false, closed_ = false;
  std::string failure_;
};

/// Hands the events of a session to any number of feeds. Has one thread, started for the first feed. Thread-safe.
class Hub {
 public:
  explicit Hub(TaskManager& manager) : manager_(manager) {}
  ~Hub();
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

  /// From now on every event is pushed to the feed, until only the hub refers to it.
  [[nodiscard]] Result<> add(const std::shared_ptr<Feed>& feed);

  /// Number of scans that have begun. Everything that happened before a call is found by a scan with at most the
  /// returned number plus one.
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
