#include "top/log/log_search.h"

#include "base/clock.h"

#include <unistd.h>

#include <algorithm>

namespace perdure::top {
namespace {

constexpr std::size_t kMostHits = 1'000'000;
constexpr std::int64_t kTellMs = 100;

}  // namespace

LogSearch::LogSearch(view::Read read, view::Pattern pattern, int wake)
    : read_(std::move(read)), pattern_(std::move(pattern)), wake_(wake) {
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}
LogSearch::~LogSearch() = default;

void LogSearch::wake() const {
  const std::uint64_t one = 1;
  static_cast<void>(!::write(wake_, &one, sizeof one));
}

void LogSearch::run(const std::stop_token& stop) {
  std::int64_t told = 0;
  const auto end = view::search(read_, pattern_, {.begin = begin_, .texts = false, .stop = stop, .progress = {}},
                                [&](const view::Hit& hit) {
                                  {
                                    const std::scoped_lock lock(mutex_);
                                    ++state_.total;
                                    if (hits_.size() < kMostHits) hits_.push_back({hit.offset, hit.length});
                                  }
                                  if (const auto now = steady_ms(); now - told >= kTellMs) {
                                    told = now;
                                    wake();
                                  }
                                });
  {
    const std::scoped_lock lock(mutex_);
    state_.done = true;
    if (!end) {
      state_.error = end.error().message;
    } else {
      begin_ = end->searched;
      total_before_ += end->total_there;
      const auto behind = std::ranges::lower_bound(hits_, begin_, {}, &Found::offset);
      hits_kept_ = static_cast<std::size_t>(behind - hits_.begin());
    }
  }
  wake();
}

LogSearch::State LogSearch::state() const {
  const std::scoped_lock lock(mutex_);
  return state_;
}

std::optional<LogSearch::Found> LogSearch::hit(std::size_t n) const {
  const std::scoped_lock lock(mutex_);
  return n < hits_.size() ? std::optional(hits_[n]) : std::nullopt;
}

std::size_t LogSearch::hits_before(std::int64_t offset) const {
  const std::scoped_lock lock(mutex_);
  return static_cast<std::size_t>(std::ranges::lower_bound(hits_, offset, {}, &Found::offset) - hits_.begin());
}

void LogSearch::go_on() {
  {
    const std::scoped_lock lock(mutex_);
    if (!state_.done || !state_.error.empty()) return;
    state_.done = false;
    state_.total = total_before_;
    hits_.resize(std::min(hits_.size(), hits_kept_));
  }
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

}  // namespace perdure::top
