#pragma once

#include "base/fd.h"

#include <string>

namespace perdure::top {

/// Reports when files in a folder grow. Uses one inotify instance.
class LogWatch {
 public:
  LogWatch();
  /// Watches this folder from now on; empty: none.
  void watch(const std::string& folder);
  [[nodiscard]] int fd() const { return files_.get(); }
  void drain() const;

 private:
  Fd files_;
  int wd_ = -1;
};

}  // namespace perdure::top
