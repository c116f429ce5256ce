#include "manager/watch/news_watch.h"

#include "base/clock.h"
#include "contract/names.h"
#include "store/outbox.h"

#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

namespace perdure::manager {
namespace {

constexpr std::int64_t kWithoutWatchesMs = 1'000;
constexpr std::string_view kRecordSuffix = ".json";

constexpr std::uint32_t kOnItsWay = IN_CREATE | IN_MOVED_TO | IN_ONLYDIR;
constexpr std::uint32_t kOfRecords = IN_MOVED_TO | IN_ONLYDIR;
// Only entries and locks whose names exist: a removed one was finished properly.
constexpr std::uint32_t kOfLocks = IN_CLOSE_WRITE | IN_EXCL_UNLINK | IN_ONLYDIR;

}  // namespace

NewsWatch::NewsWatch(const store::Session& session)
    : session_(session), files_(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK)) {}

bool NewsWatch::watch(const std::string& path, std::uint32_t mask) {
  const int wd = files_ ? ::inotify_add_watch(files_.get(), path.c_str(), mask | IN_MASK_ADD) : -1;
  if (mask == kOfRecords && wd >= 0) records_ = wd;
  note_refusal(wd);
  return wd >= 0;
}

// Watches the folder or, until it exists, its nearest existing ancestor.
void NewsWatch::watch_down_to(const std::string& path, std::uint32_t mask) {
  std::size_t end = path.size();
  while (!watch(path.substr(0, std::max<std::size_t>(end, 1)), end == path.size() ? mask : kOnItsWay)) {
    if (end == 0) return;
    end = path.rfind('/', end - 1);
  }
  // Files made before the folder was watched.
  while (end < path.size()) {
    end = std::min(path.find('/', end + 1), path.size());
    if (!watch(path.substr(0, end), end == path.size() ? mask : kOnItsWay)) return;
  }
}

// A folder that is not there needs no watch; any other refusal means that changes are missed.
void NewsWatch::note_refusal(int wd) {
  if (files_ && wd < 0 && errno != ENOENT && errno != ENOTDIR) is_blind_ = true;
}

bool NewsWatch::arm() {
  const int before = records_;
  watch_down_to(session_.tasks_path(), kOfRecords);
  watch_down_to(store::outbox_path(session_), kOfLocks);
  return records_ != before;
}

void NewsWatch::watch_runner(const TaskId& id) {
  const int wd = files_ ? ::inotify_add_watch(files_.get(), session_.folder_path(id).c_str(), kOfLocks) : -1;
  note_refusal(wd);
  if (wd >= 0) runners_.insert_or_assign(wd, id);
}

void NewsWatch::drain(News& news) {
  alignas(inotify_event) char buffer[16384];
  while (files_) {
    const ssize_t n = ::read(files_.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    for (const char* at = buffer; at < buffer + n;) {
      const auto* const event = reinterpret_cast<const inotify_event*>(at);
      at += sizeof(inotify_event) + event->len;
      const std::string_view name = event->len > 0 ? event->name : "";
      const auto runner = runners_.find(event->wd);
      if ((event->mask & IN_Q_OVERFLOW) != 0) {
        news.lost_track = true;
      } else if ((event->mask & IN_IGNORED) != 0) {
        runners_.erase(event->wd);
      } else if (runner != runners_.end()) {
        if (name == contract::kRunnerLock) news.runners_ended.push_back(runner->second);
      } else if ((event->mask & IN_CLOSE_WRITE) != 0) {
        news.claim_ended = true;
      } else if (event->wd == records_ && name.ends_with(kRecordSuffix)) {
        if (const auto id = TaskId::parse(name.substr(0, name.size() - kRecordSuffix.size()))) {
          watch_runner(*id);
          news.records_came.push_back(*id);
        }
      }
    }
  }
}

NewsWatch::News NewsWatch::sleep(std::optional<std::int64_t> until, int cancel_fd) {
  const std::int64_t now = steady_ms();
  const bool sees_all = files_ && !is_blind_;
  if (!sees_all) until = std::min(until.value_or(INT64_MAX), now + kWithoutWatchesMs);
  pollfd fds[] = {{.fd = files_.get(), .events = POLLIN}, {.fd = cancel_fd, .events = POLLIN}};
  const int ms = until ? static_cast<int>(std::clamp<std::int64_t>(*until - now, 0, INT32_MAX)) : -1;
  const int n = ::poll(fds, 2, ms);  // if interrupted, it is checked once more than needed
  News news;
  news.lost_track = !sees_all;
  drain(news);
  news.cancelled = n > 0 && fds[1].revents != 0;
  return news;
}

}  // namespace perdure::manager
