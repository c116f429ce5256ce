#pragma once

#include "mcp/service/resource.h"

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

namespace perdure::mcp {

/// Tells those who asked when a task or its output changed, whoever changed it. Costs nothing until the first one
/// asks: then a thread that sleeps on the session's events, and one for each log that is followed.
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

  /// From here on every change is told, from another thread, until forget(). Never after that has returned.
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
  std::mutex mutex_;  // of what stands below; also held while somebody is told, so that forget() is final
  std::map<Ticket, Interest> interests_;
  std::map<TaskId, std::unique_ptr<Growth>> growing_;
  Ticket last_ = 0;
  std::thread thread_;
  jsonrpc::Signal stop_;
};

}  // namespace perdure::mcp
