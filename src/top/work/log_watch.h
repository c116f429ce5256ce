#pragma once

#include "base/fd.h"

#include <string>

namespace perdure::top {

/// Tells when files in a folder grow. One inotify instance.
class LogWatch {
 public:
  LogWatch();
  /// From now on this one; empty: none.
  void watch(const std::string& folder);
  [[nodiscard]] int fd() const { return files_.get(); }
  void drain() const;

 private:
  Fd files_;
  int wd_ = -1;
};

}  // namespace perdure::top
