#pragma once

#include "manager/in_process/in_process.h"

#include <map>
#include <thread>

namespace perdure::manager {

/// The in-process tasks of one manager, and the thread that answers on their sockets (contract/control.h) and watches
/// their deadlines. The thread ends with the last of them; the next one starts it again.
class InProcessService {
 public:
  InProcessService() = default;
  /// Ends the tasks that still run and joins the thread.
  ~InProcessService();
  InProcessService(const InProcessService&) = delete;
  InProcessService& operator=(const InProcessService&) = delete;

  void add(std::shared_ptr<InProcessRun> run);
  /// Made at the first call, by which a first task announces itself: most managers have none.
  [[nodiscard]] std::shared_ptr<const Waker> waker();

 private:
  void serve();

  pid_t process_ = 0;
  std::shared_ptr<const Waker> waker_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<InProcessRun>> runs_;
  std::vector<std::shared_ptr<InProcessRun>> unserved_;  // at the end: tasks that could not be committed
  bool serves_ = false;
  std::thread thread_;
};

}  // namespace perdure::manager
