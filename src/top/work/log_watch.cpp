#include "top/work/log_watch.h"

#include <sys/inotify.h>
#include <unistd.h>

namespace perdure::top {

LogWatch::LogWatch() : files_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {}

void LogWatch::watch(const std::string& folder) {
  if (!files_) return;
  if (wd_ >= 0) ::inotify_rm_watch(files_.get(), wd_);
  wd_ = folder.empty() ? -1
                       : ::inotify_add_watch(files_.get(), folder.c_str(),
                                             IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_ONLYDIR | IN_EXCL_UNLINK);
}

void LogWatch::drain() const {
  alignas(inotify_event) char buffer[16384];
  while (files_ && ::read(files_.get(), buffer, sizeof buffer) > 0) {
  }
}

}  // namespace perdure::top
