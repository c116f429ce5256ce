#pragma once

#include <perdure/error.h>

#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace perdure::top {

/// Long actions in threads of their own: a stop waits for the task's end, and the screen must not block.
class Actions {
 public:
  explicit Actions(int wake) : wake_(wake) {}

  /// `work` returns the message to show when it is done.
  void start(std::function<Result<std::string>()> work);
  /// The messages since the last call.
  [[nodiscard]] std::vector<std::string> take();
  [[nodiscard]] bool busy() const;

 private:
  struct One {
    bool done = false;
    std::jthread thread;
  };
  const int wake_;
  mutable std::mutex mutex_;
  std::vector<std::string> said_;
  std::list<One> running_;
};

}  // namespace perdure::top
