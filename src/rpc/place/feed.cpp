#include "rpc/place/feed.h"

#include "base/clock.h"
#include "base/error.h"

#include <poll.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace perdure::rpc {

Feed::Got Feed::next(Item& item) {
  std::unique_lock lock(mutex_);
  busy_ = false;
  wake_.wait(lock, [this] { return closed_ || overflowed_ || !failure_.empty() || !waiting_.empty(); });
  if (closed_) return Got::closed;
  if (overflowed_) return Got::overflow;
  if (waiting_.empty()) return Got::failed;
  item = std::move(waiting_.front());
  waiting_.pop_front();
  busy_ = true;
  taken_at_ = steady_ms();
  return Got::item;
}

void Feed::push(const std::shared_ptr<const Event>& event, std::uint64_t round) {
  const std::lock_guard lock(mutex_);
  if (closed_ || overflowed_ || !failure_.empty()) return;
  const bool is_slow = busy_ && waiting_.size() >= kMost && steady_ms() - taken_at_ >= kPatienceMs;
  if (is_slow || waiting_.size() >= kMostEver) {
    overflowed_ = true;
    waiting_.clear();
    waiting_.shrink_to_fit();
  } else {
    waiting_.push_back({event, round});
  }
  wake_.notify_one();
}

void Feed::note_busy() {
  const std::lock_guard lock(mutex_);
  busy_ = true;
  taken_at_ = steady_ms();
}

void Feed::fail(std::string why) {
  const std::lock_guard lock(mutex_);
  failure_ = std::move(why);
  wake_.notify_one();
}

void Feed::close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
  wake_.notify_one();
}

std::string Feed::failure() const {
  const std::lock_guard lock(mutex_);
  return failure_;
}

bool Feed::is_closed() const {
  const std::lock_guard lock(mutex_);
  return closed_;
}

Hub::~Hub() {
  stop_.raise();
  if (thread_.joinable()) thread_.join();
}

Result<> Hub::add(const std::shared_ptr<Feed>& feed) {
  const std::lock_guard lock(mutex_);
  if (!thread_.joinable()) {
    // Also scans the session once: earlier events are not reported.
    auto fd = manager_.events().fd();
    if (!fd) return std::unexpected(fd.error());
    try {
      thread_ = std::thread([this, event_fd = *fd] { run(event_fd); });
    } catch (const std::system_error& error) {
      return fail(ErrorCode::session_unusable, std::string("cannot start a thread: ") + error.what());
    }
  }
  std::erase_if(feeds_, [](const std::weak_ptr<Feed>& one) { return one.expired(); });
  feeds_.push_back(feed);
  return {};
}

void Hub::run(int event_fd) {
  while (true) {
    pollfd look_at[] = {{.fd = event_fd, .events = POLLIN, .revents = 0},
                        {.fd = stop_.fd(), .events = POLLIN, .revents = 0}};
    if (::poll(look_at, 2, -1) < 0 && errno != EINTR) return;
    if (look_at[1].revents != 0) return;
    if (look_at[0].revents != 0) look();
  }
}

void Hub::look() {
  const std::uint64_t round = ++round_;
  auto events = manager_.events().read();
  const std::lock_guard lock(mutex_);
  for (const auto& held : feeds_) {
    const auto feed = held.lock();
    if (feed == nullptr) continue;
    if (!events) feed->fail(events.error().message);
  }
  if (!events) {
    feeds_.clear();
    return;
  }
  for (auto& found : *events) {
    const auto event = std::make_shared<const Event>(std::move(found));
    for (const auto& held : feeds_)
      if (const auto feed = held.lock()) feed->push(event, round);
  }
}

}  // namespace perdure::rpc
