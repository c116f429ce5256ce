#include "mcp/service/watch.h"

#include "base/try.h"

#include <poll.h>

#include <algorithm>
#include <cerrno>
#include <vector>

namespace perdure::mcp {
namespace {

// No reader is faster than that, and a busy log must not cause a flood of messages.
constexpr int kOutputEveryMs = 1000;
constexpr std::size_t kMostFollowed = 64;

}  // namespace

struct Watch::Growth {
  std::thread thread;
  jsonrpc::Signal stop;
};

Watch::Watch(Service& service) : service_(service) {}

Watch::~Watch() {
  std::map<TaskId, std::unique_ptr<Growth>> growing;
  {
    const std::lock_guard lock(mutex_);
    interests_.clear();
    growing.swap(growing_);
    stop_.raise();
  }
  for (auto& [id, growth] : growing) {
    growth->stop.raise();
    growth->thread.join();
  }
  if (thread_.joinable()) thread_.join();
}

Result<Watch::Ticket> Watch::tell(Interest interest) {
  const std::lock_guard lock(mutex_);
  TRY_VOID(start());
  for (const auto& uri : interest.uris)
    if (const auto name = ResourceName::parse(uri); name && name->is_output) follow(name->id);
  interests_[++last_] = std::move(interest);
  return last_;
}

void Watch::forget(Ticket ticket) {
  std::vector<std::unique_ptr<Growth>> unwanted;
  {
    const std::lock_guard lock(mutex_);
    interests_.erase(ticket);
    for (auto growth = growing_.begin(); growth != growing_.end();) {
      const std::string uri = ResourceName{growth->first, true}.uri();
      const bool wanted =
          std::ranges::any_of(interests_, [&](const auto& one) { return one.second.uris.contains(uri); });
      if (wanted) {
        ++growth;
        continue;
      }
      unwanted.push_back(std::move(growth->second));
      growth = growing_.erase(growth);
    }
  }
  for (auto& growth : unwanted) {
    growth->stop.raise();
    growth->thread.join();
  }
}

Result<> Watch::start() {
  if (thread_.joinable()) return {};
  TRY(auto event_fd, service_.manager().events().fd());
  // The first call only starts the watch; later events are reported.
  TRY_VOID(service_.manager().events().read());
  thread_ = std::thread([this, fd = event_fd] { run(fd); });
  return {};
}

void Watch::run(int event_fd) {
  while (!stop_.is_raised()) {
    pollfd look[] = {{.fd = event_fd, .events = POLLIN, .revents = 0},
                     {.fd = stop_.fd(), .events = POLLIN, .revents = 0}};
    if (::poll(look, 2, -1) < 0 && errno != EINTR) return;
    if (look[0].revents == 0) continue;
    auto events = service_.manager().events().read();
    if (!events) continue;  // a folder that can't be read now: the next change reports it
    for (const auto& event : *events) announce(event);
  }
}

void Watch::announce(const Event& event) {
  announce_resource(ResourceName{event.task.id, false}.uri());
  if (event.type == EventType::terminated) announce_resource(ResourceName{event.task.id, true}.uri());
  const std::lock_guard lock(mutex_);
  for (auto& [ticket, interest] : interests_)
    if (interest.tasks.contains(event.task.id)) interest.on_task(event.task);
}

void Watch::announce_resource(const std::string& uri) {
  const std::lock_guard lock(mutex_);
  for (auto& [ticket, interest] : interests_)
    if (interest.uris.contains(uri)) interest.on_resource(uri);
}

// With more logs than this, the others are reported at their end only.
void Watch::follow(const TaskId& id) {
  if (growing_.contains(id) || growing_.size() >= kMostFollowed) return;
  auto growth = std::make_unique<Growth>();
  growth->thread = std::thread([this, id, growth = growth.get()] {
    const auto start = service_.manager().output_snapshot(id, 0);
    std::int64_t seen = start ? start->size_bytes : 0;
    while (!growth->stop.is_raised()) {
      if (!service_.manager().await_output(id, seen, std::nullopt, Cancellation::when_readable(growth->stop.fd())))
        return;
      const auto now = service_.manager().output_snapshot(id, 0);
      if (!now || growth->stop.is_raised()) return;
      if (now->size_bytes > seen) announce_resource(ResourceName{id, true}.uri());
      seen = now->size_bytes;
      if (now->eof) return;
      pollfd stopped{.fd = growth->stop.fd(), .events = POLLIN, .revents = 0};
      ::poll(&stopped, 1, kOutputEveryMs);
    }
  });
  growing_.emplace(id, std::move(growth));
}

}  // namespace perdure::mcp
