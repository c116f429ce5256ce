#include "view/watch.h"

#include "base/process.h"
#include "contract/names.h"
#include "store/outbox.h"

#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/timerfd.h>

#include <cerrno>
#include <string_view>
#include <vector>

namespace perdure::view {
namespace {

constexpr std::uint32_t kAbove = IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
// Other programs write their records in place.
constexpr std::uint32_t kRecords =
    IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_CLOSE_WRITE | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
constexpr std::uint32_t kEntries = IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ONLYDIR;
// A killed runner sends nothing, but its lock file is closed.
constexpr std::uint32_t kTask = IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE | IN_EXCL_UNLINK | IN_ONLYDIR;
constexpr std::string_view kSuffix = ".json";
constexpr std::size_t kMostFolders = 4096;  // of live tasks; a user may have about 8,000 watches in all

bool add_to(int waker, int fd) {
  epoll_event readable{};
  readable.events = EPOLLIN;
  readable.data.fd = fd;
  return fd >= 0 && ::epoll_ctl(waker, EPOLL_CTL_ADD, fd, &readable) == 0;
}

std::string_view task_named(std::string_view name) {
  if (name.ends_with(kSuffix)) name.remove_suffix(kSuffix.size());
  return TaskId::parse(name) ? name : std::string_view();
}

}  // namespace

Watch::Watch(store::Session session, bool uses_inotify)
    : session_(std::move(session)),
      waker_(::epoll_create1(EPOLL_CLOEXEC)),
      files_(uses_inotify ? ::inotify_init1(IN_CLOEXEC | IN_NONBLOCK) : -1),
      timer_(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK)) {
  add_to(waker_.get(), timer_.get());
  if (files_ && !add_to(waker_.get(), files_.get())) files_.reset();
  use_timer();
}

int Watch::watch(const std::string& path, std::uint32_t mask, Watched what) {
  const int wd = files_ ? ::inotify_add_watch(files_.get(), path.c_str(), mask) : -1;
  if (wd >= 0) watched_[wd] = std::move(what);
  return wd;
}

// From the nearest existing folder down to the session: inotify reports only what is made directly in a watched folder.
void Watch::arm() {
  if (!files_) return;
  std::string path = session_.path();
  while (watch(path, kAbove, {}) < 0 && path.size() > 1) {
    const auto slash = path.rfind('/');
    path = slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
  }
  watch(session_.path() + "/" + contract::kAgentsDir, kAbove, {});
  if (const auto folders = session_.record_folders()) {
    for (const auto& folder : *folders) {
      watch(folder.substr(0, folder.rfind('/')), kAbove, {});
      watch(folder, kRecords, {.kind = Watched::Kind::records, .id = {}});
    }
  }
  watch(session_.path() + "/" + contract::kQueueDir, kEntries, {.kind = Watched::Kind::queue, .id = {}});
  watch(store::outbox_path(session_), kEntries, {.kind = Watched::Kind::outbox, .id = {}});
}

void Watch::add(const TaskId& id, std::int64_t pid) {
  if (files_ && !folders_.contains(id.str()) && folders_.size() < kMostFolders) {
    const int wd = watch(session_.folder_path(id), kTask, {.kind = Watched::Kind::task, .id = id.str()});
    if (wd >= 0) folders_[id.str()] = wd;
  }
  if (pid > 0 && !processes_.contains(id.str())) {
    if (auto process = open_pidfd(pid); process && add_to(waker_.get(), process->get()))
      processes_[id.str()] = std::move(*process);
  }
}

void Watch::remove(const std::string& id) {
  if (const auto folder = folders_.find(id); folder != folders_.end()) {
    ::inotify_rm_watch(files_.get(), folder->second);
    watched_.erase(folder->second);
    folders_.erase(folder);
  }
  processes_.erase(id);
  look_again(id, false);
}

void Watch::look_again(const std::string& id, bool on) {
  if (on) {
    untold_.insert(id);
  } else {
    untold_.erase(id);
  }
  use_timer();
}

void Watch::use_timer() {
  const bool on = !files_ || !untold_.empty();
  if (on == timer_on_) return;
  itimerspec times{};
  if (on) times.it_value.tv_sec = times.it_interval.tv_sec = 1;
  if (::timerfd_settime(timer_.get(), 0, &times, nullptr) == 0) timer_on_ = on;
}

void Watch::drain_files(Changes& changes) {
  alignas(inotify_event) char buffer[16384];
  bool folders = false;
  while (files_) {
    const ssize_t n = ::read(files_.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    for (const char* at = buffer; at < buffer + n;) {
      const auto* const event = reinterpret_cast<const inotify_event*>(at);
      at += sizeof(inotify_event) + event->len;
      const std::string_view name = event->len > 0 ? event->name : "";
      const auto watched = watched_.find(event->wd);
      if ((event->mask & IN_Q_OVERFLOW) != 0) {
        folders = true;
      } else if (watched == watched_.end()) {
        continue;
      } else if ((event->mask & IN_IGNORED) != 0) {
        if (watched->second.kind == Watched::Kind::task) {
          changes.ids.insert(watched->second.id);
          folders_.erase(watched->second.id);
        }
        watched_.erase(watched);
      } else if (watched->second.kind == Watched::Kind::task) {
        changes.ids.insert(watched->second.id);
      } else if (watched->second.kind == Watched::Kind::queue) {
        changes.queue = true;
      } else if (watched->second.kind == Watched::Kind::outbox) {
        changes.outbox = true;
      } else if (watched->second.kind == Watched::Kind::above) {
        if ((event->mask & (IN_ISDIR | IN_DELETE_SELF | IN_MOVE_SELF)) != 0) folders = true;
      } else if ((event->mask & (IN_DELETE_SELF | IN_MOVE_SELF)) != 0) {
        folders = true;
      } else if (const auto id = task_named(name); !id.empty()) {
        changes.ids.emplace(id);
        // A task that is being started: its runner's files appear in this folder.
        if ((event->mask & IN_ISDIR) != 0 && (event->mask & IN_CREATE) != 0) add(*TaskId::parse(id), 0);
      }
    }
  }
  if (folders) {
    arm();
    changes.everything = true;
  }
}

Watch::Changes Watch::take() {
  Changes changes;
  std::uint64_t fired = 0;
  if (::read(timer_.get(), &fired, sizeof fired) > 0) {
    changes.ids.insert(untold_.begin(), untold_.end());
    changes.everything = !files_;
  }
  drain_files(changes);
  // A pidfd stays readable after its process has ended.
  std::vector<std::string> ended;
  epoll_event readable[64];
  const int n = processes_.empty() ? 0 : ::epoll_wait(waker_.get(), readable, 64, 0);
  for (int i = 0; i < n; ++i)
    for (const auto& [id, process] : processes_)
      if (process.get() == readable[i].data.fd) ended.push_back(id);
  for (const auto& id : ended) {
    processes_.erase(id);
    changes.ids.insert(id);
  }
  return changes;
}

}  // namespace perdure::view
