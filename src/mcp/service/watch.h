#pragma once

#include "mcp/service/resource.h"

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

namespace perdure::mcp {

/// Notifies subscribers when a task or its output changed, by any process. Costs nothing until the first subscription:
/// then one thread sleeps on the session's events, and one more for each followed log.
class Watch {
 public:
  struct Interest {
    std::set<std::string> uris;  ///< of resources
    std::set<TaskId> tasks;
    std::function<void(const std::string& uri)> on_resource;
    std::function<void(const Task& task)> on_task;
  };
  using Ticket = std::uint64_t;

  explicit Watch(Service& service);
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  /// From here on every change is reported, from another thread, until forget(); never after forget() has returned.
  [[nodiscard]] Result<Ticket> tell(Interest interest);
  void forget(Ticket ticket);

 private:
  struct Growth;  // follows one log

  Result<> start();
  void run(int event_fd);
  void announce(const Event& event);
  void announce_resource(const std::string& uri);
  void follow(const TaskId& id);

  Service& service_;
  std::mutex mutex_;  // guards the members below; also held while a subscriber is called, so that forget() is final
  std::map<Ticket, Interest> interests_;
  std::map<TaskId, std::unique_ptr<Growth>> growing_;
  Ticket last_ = 0;
  std::thread thread_;
  jsonrpc::Signal stop_;
};

}  // namespace perdure::mcp
