#include "jsonrpc/peer.h"

#include "base/clock.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <system_error>

namespace perdure::jsonrpc {

Signal::Signal() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void Signal::raise() {
  if (raised_.exchange(true)) return;
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t told = ::write(fd_.get(), &one, sizeof one);
}

void Call::end(Ended reason) {
  Ended none = Ended::no;
  why.compare_exchange_strong(none, reason);
  stop.raise();
}

std::shared_ptr<Call> Calls::begin(const json::value& id) {
  auto call = std::make_shared<Call>();
  const std::lock_guard lock(mutex_);
  return calls_.try_emplace(id_key(id), call).second ? call : nullptr;
}

void Calls::finish(const json::value& id) {
  const std::lock_guard lock(mutex_);
  calls_.erase(id_key(id));
}

void Calls::cancel(const json::value& id) {
  const std::lock_guard lock(mutex_);
  if (const auto found = calls_.find(id_key(id)); found != calls_.end()) found->second->end(Call::Ended::cancelled);
}

void Calls::hang_up() {
  const std::lock_guard lock(mutex_);
  for (auto& [id, call] : calls_) call->end(Call::Ended::hung_up);
}

std::size_t Calls::size() const {
  const std::lock_guard lock(mutex_);
  return calls_.size();
}

Asks::Answer Asks::ask(Outlet& outlet, std::string_view method, json::object params, const Signal& stop,
                       std::chrono::milliseconds patience) {
  auto open = std::make_shared<Open>();
  json::value id;
  {
    const std::lock_guard lock(mutex_);
    id = ++last_id_;
    open_[id_key(id)] = open;
  }
  const std::int64_t until = steady_ms() + patience.count();
  bool sent = outlet.send(make_request(id, method, std::move(params)));
  while (sent && !open->answered.is_raised() && !stop.is_raised() && steady_ms() < until) {
    pollfd look[] = {{.fd = open->answered.fd(), .events = POLLIN, .revents = 0},
                     {.fd = stop.fd(), .events = POLLIN, .revents = 0}};
    if (::poll(look, 2, static_cast<int>(std::clamp<std::int64_t>(until - steady_ms(), 0, INT_MAX))) < 0 &&
        errno != EINTR)
      sent = false;
  }
  const std::lock_guard lock(mutex_);
  open_.erase(id_key(id));
  if (open->answered.is_raised()) return std::move(open->answer);
  return std::unexpected(Fault{kInternalError, std::string(method) + ": no answer came", json::value(kNoAnswer)});
}

void Asks::settle(Message response) {
  const std::lock_guard lock(mutex_);
  const auto found = open_.find(id_key(response.id));
  if (found == open_.end()) return;
  if (response.fault) {
    found->second->answer = std::unexpected(std::move(*response.fault));
  } else {
    found->second->answer = std::move(response.result);
  }
  found->second->answered.raise();
}

bool Workers::run(std::function<void()> job) {
  const std::lock_guard lock(mutex_);
  if (idle_ <= jobs_.size() && threads_.size() < most_) {
    try {
      threads_.emplace_back([this] { work(); });
    } catch (const std::system_error&) {
      if (threads_.empty()) return false;  // no thread available: the existing ones have to do
    }
  }
  if (jobs_.size() >= most_) return false;
  jobs_.push_back(std::move(job));
  wake_.notify_one();
  return true;
}

void Workers::join() {
  std::vector<std::thread> threads;
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
    threads.swap(threads_);
    wake_.notify_all();
  }
  for (auto& thread : threads) thread.join();
}

void Workers::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    ++idle_;
    wake_.wait(lock, [this] { return closing_ || !jobs_.empty(); });
    --idle_;
    if (jobs_.empty()) return;
    auto job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job();
    job = nullptr;
    lock.lock();
  }
}

}  // namespace perdure::jsonrpc
