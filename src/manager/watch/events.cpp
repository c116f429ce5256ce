#include "manager/watch/events.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/files.h"
#include "base/try.h"
#include "contract/names.h"
#include "manager/far/contact.h"
#include "manager/link/state.h"
#include "manager/link/telemetry.h"
#include "manager/status/queue.h"
#include "manager/watch/event_log.h"
#include "manager/watch/output.h"
#include "store/records.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <tuple>

namespace perdure {
namespace manager {
namespace {

constexpr std::int64_t kTailBytes = 1024;
constexpr std::uint32_t kFolders = IN_CREATE | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
// Other programs may write their records in place.
constexpr std::uint32_t kRecords = IN_MOVED_TO | IN_CLOSE_WRITE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
constexpr std::uint32_t kEntries = IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ONLYDIR;
constexpr std::string_view kSuffix = ".json";

// The task as it was at its start, reconstructed from its terminal record.
Task as_started(Task task) {
  if (!is_terminal(task.status)) return task;
  task.status = Status::running;
  task.ended_at.reset();
  task.process.exit_code.reset();
  task.question.outcome.reset();
  task.process.signal.reset();
  task.stop_reason.reset();
  task.agent.stop_code.reset();
  task.notification.suppressed.reset();
  task.lost_evidence.reset();
  task.recovered.reset();
  task.output.bytes.reset();
  task.output.dropped_bytes.reset();
  task.output.dropped_at.reset();
  task.output.unstored_bytes.reset();
  task.restart.count = 0;
  task.restart.last.clear();
  task.process.survivors.clear();
  task.process.leftovers.reset();
  task.notification.notified_at.reset();
  task.notification.channel.reset();
  task.ended_seq.reset();
  return task;
}

std::optional<std::string> id_of_record(std::string_view name) {
  if (!name.ends_with(kSuffix)) return std::nullopt;
  const auto id = TaskId::parse(name.substr(0, name.size() - kSuffix.size()));
  if (!id || !id->has_record_form()) return std::nullopt;
  return id->str();
}

bool is_there(const std::string& path) {
  struct stat about{};
  return ::stat(path.c_str(), &about) == 0;
}

}  // namespace

Event started_event(const Task& task) {
  return {.type = EventType::started,
          .seq = task.started_seq.value_or(0),
          .time = task.started_at,
          .task = as_started(task),
          .output_tail = {}};
}

Event terminated_event(const store::Session& session, const Task& task) {
  return {.type = EventType::terminated,
          .seq = task.ended_seq.value_or(0),
          .time = task.ended_at.value_or(task.started_at),
          .task = task,
          .output_tail = output_tail(session, task, kTailBytes)};
}

void append_recorded_events(const store::Session& session, const Task& task, std::int64_t since,
                            std::vector<Event>& events) {
  if (!task.detached) return;  // L42
  if (task.started_seq.value_or(0) > since) events.push_back(started_event(task));
  if (is_terminal(task.status) && task.ended_seq.value_or(0) > since) events.push_back(terminated_event(session, task));
}

void sort_events(std::vector<Event>& events) {
  // Unless the counter was ahead, a seq is the clock in microseconds, so a time can be placed between seqs.
  const auto place = [](const Event& event) {
    return std::tuple(event.seq > 0 ? event.seq : ms_of(event.time) * 1000, event.type);
  };
  std::ranges::stable_sort(events, {}, place);
}

EventWatch::EventWatch(store::Session session, bool uses_inotify)
    : session_(std::move(session)), uses_inotify_(uses_inotify) {}

Result<int> EventWatch::fd() {
  const std::scoped_lock lock(mutex_);
  TRY_VOID(start());
  return waker_.get();
}

// Call with the lock held. Only here are records read under the lock: no event can be reported earlier.
Result<> EventWatch::start() {
  if (waker_) return {};
  Fd waker(::epoll_create1(EPOLL_CLOEXEC));
  if (!waker) return fail_errno("watching", session_.path());
  if (uses_inotify_) files_ = Fd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  timer_ = Fd(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!timer_) return fail_errno("watching", session_.path());
  for (const Fd* source : {&files_, &timer_}) {
    epoll_event readable{};
    readable.events = EPOLLIN;
    if (*source && ::epoll_ctl(waker.get(), EPOLL_CTL_ADD, source->get(), &readable) != 0)
      return fail_errno("watching", session_.path());
  }
  // Watched first, then read: an event in between is found by the read or reported later.
  arm();
  TRY(auto found, store::scan_records(session_));
  for (const auto& task : found.tasks) {
    told_[task.id.str()] = {.started = task.detached,
                            .terminated = is_terminal(task.status),
                            .timeout_ms = task.limits.timeout_ms,
                            .timeout_from = ms_of(task.limits.timeout_from),
                            .attempts = task.restart.count,
                            .pid = task.process.pid};
  }
  waker_ = std::move(waker);
  return {};
}

bool EventWatch::watch(const std::string& path, std::uint32_t mask) {
  const int wd = ::inotify_add_watch(files_.get(), path.c_str(), mask);
  if (wd >= 0) watched_[wd] = {path, mask == kRecords};
  return wd >= 0;
}

// True: the session's own folder is watched. Else its nearest existing ancestor is.
bool EventWatch::watch_down_to_session() {
  std::string path = session_.path();
  while (!watch(path, kFolders)) {
    if (errno != ENOENT && errno != ENOTDIR) return false;
    const auto slash = path.rfind('/');
    if (path == "/" || slash == std::string::npos) return false;
    path = slash == 0 ? "/" : path.substr(0, slash);
    // It was made before its parent was watched: try again from the top.
    if (!watch(path, kFolders)) continue;
    const auto next = session_.path().find('/', path == "/" ? 1 : path.size() + 1);
    if (!is_there(session_.path().substr(0, next))) return true;
    path = session_.path();
  }
  return true;
}

// Watches all existing folders of records, and those in which one may appear. Adding an existing watch has no effect.
void EventWatch::arm() {
  const auto before = std::move(watched_);
  watched_.clear();
  bool complete = files_ && watch_down_to_session();
  const auto watch_if_there = [&](const std::string& path, std::uint32_t mask) {
    if (complete && !watch(path, mask) && errno != ENOENT && errno != ENOTDIR) complete = false;
  };
  watch_if_there(session_.tasks_path(), kRecords);
  watch_if_there(session_.path() + "/" + contract::kQueueDir, kEntries);
  const std::string agents = session_.path() + "/" + contract::kAgentsDir;
  watch_if_there(agents, kFolders);
  if (auto folder = open_folder_at(AT_FDCWD, agents, agents); complete && folder) {
    for (const auto& entry : read_folder(folder->get(), agents).value_or(std::vector<FolderEntry>())) {
      watch_if_there(agents + "/" + entry.name, kFolders);
      watch_if_there(agents + "/" + entry.name + "/" + contract::kTasksDir, kRecords);
    }
  }
  // Once the session exists, its ancestors need not be watched: /tmp has many events.
  for (const auto& [wd, watched] : before)
    if (!watched_.contains(wd)) ::inotify_rm_watch(files_.get(), wd);
  use_timer(!complete);
}

void EventWatch::use_timer(bool on) {
  if (on == timer_on_) return;
  itimerspec every_second{};
  if (on) every_second = {.it_interval = {.tv_sec = 1, .tv_nsec = 0}, .it_value = {.tv_sec = 1, .tv_nsec = 0}};
  if (::timerfd_settime(timer_.get(), 0, &every_second, nullptr) == 0) timer_on_ = on;
}

// Call with the lock held; both descriptors are non-blocking.
EventWatch::Changes EventWatch::drain() {
  Changes changes{.everything = std::exchange(failed_before_, false), .ids = {}};
  std::uint64_t fired = 0;
  if (::read(timer_.get(), &fired, sizeof fired) > 0) changes.everything = true;
  bool folders_changed = changes.everything;
  alignas(inotify_event) char buffer[16384];
  while (files_) {
    const ssize_t n = ::read(files_.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    for (const char* at = buffer; at < buffer + n;) {
      const auto* const event = reinterpret_cast<const inotify_event*>(at);
      at += sizeof(inotify_event) + event->len;
      const auto watched = watched_.find(event->wd);
      const bool about_records = watched != watched_.end() && watched->second.records;
      changes.queue |= watched != watched_.end() && watched->second.path.ends_with(contract::kQueueDir);
      const bool of_folders = (event->mask & (IN_Q_OVERFLOW | IN_DELETE_SELF | IN_MOVE_SELF)) != 0;
      if (!of_folders && about_records && event->len > 0) {
        if (auto id = id_of_record(event->name)) changes.ids.insert(std::move(*id));
      } else if (of_folders || (event->mask & IN_ISDIR) != 0) {
        folders_changed = true;
      }
    }
  }
  if (folders_changed) {
    arm();
    changes.everything = true;
  }
  return changes;
}

Result<std::vector<Task>> EventWatch::read_changed(const Changes& changes) const {
  if (changes.everything) {
    TRY(auto found, store::scan_records(session_));
    return std::move(found.tasks);
  }
  std::vector<Task> tasks;
  for (const auto& text : changes.ids) {
    auto task = store::find_record(session_, *TaskId::parse(text));
    if (task && *task) tasks.push_back(std::move(**task));
    // No record, or it was removed again: no event (L20).
    if (!task && task.error().code != ErrorCode::record_invalid) return std::unexpected(task.error());
  }
  return tasks;
}

// Call with the lock held. The ends of the outputs are read later, without it.
void EventWatch::tell(Task task, std::vector<Event>& events) {
  Told& told = told_[task.id.str()];
  if (!task.detached) {
    told.terminated = told.terminated || is_terminal(task.status);
    return;  // L42
  }
  // A task that was stopped in the queue has no start event.
  const bool never_ran = task.queue.queued_at && !task.started_seq && is_terminal(task.status);
  if (!std::exchange(told.started, true) && !never_ran) {
    events.push_back(started_event(task));
  } else if (!told.terminated && !is_terminal(task.status) &&
             (told.timeout_ms != task.limits.timeout_ms || told.timeout_from != ms_of(task.limits.timeout_from) ||
              (task.restart.policy && (told.attempts != task.restart.count || told.pid != task.process.pid)))) {
    events.push_back({.type = EventType::updated, .seq = 0, .time = {}, .task = task, .output_tail = {}});
  }
  told.timeout_ms = task.limits.timeout_ms;
  told.timeout_from = ms_of(task.limits.timeout_from);
  told.attempts = task.restart.count;
  told.pid = task.process.pid;
  if (is_terminal(task.status) && !std::exchange(told.terminated, true)) {
    events.push_back({.type = EventType::terminated, .seq = 0, .time = {}, .task = std::move(task), .output_tail = {}});
  }
}

// Call with the lock held.
void EventWatch::tell_places(std::vector<Task> queued, std::vector<Event>& events) {
  for (auto& task : queued) {
    Told& told = told_[task.id.str()];
    if (told.started || told.terminated || (told.queued && told.queue_place == task.queue.place)) continue;
    told.queued = true;
    told.queue_place = task.queue.place;
    events.push_back(
        {.type = EventType::updated, .seq = 0, .time = time_at(now_ms()), .task = std::move(task), .output_tail = {}});
  }
}

Result<std::vector<Event>> EventWatch::read() {
  std::vector<Event> events;
  Changes changes;
  {
    const std::scoped_lock lock(mutex_);
    if (!waker_) {
      TRY_VOID(start());
      return events;
    }
    changes = drain();
  }
  auto tasks = read_changed(changes);
  auto queued = changes.queue || changes.everything ? queued_tasks(session_) : Result<std::vector<Task>>();
  {
    const std::scoped_lock lock(mutex_);
    if (!tasks || !queued) {
      failed_before_ = true;
      return std::unexpected(tasks ? queued.error() : tasks.error());
    }
    tell_places(std::move(*queued), events);
    for (auto& task : *tasks) tell(std::move(task), events);
  }
  for (auto& event : events) {
    if (event.type == EventType::terminated) event = terminated_event(session_, event.task);
    if (event.type == EventType::updated && event.task.status != Status::queued)
      event.time = time_at(store::written_at(event.task));
  }
  sort_events(events);
  return events;
}

}  // namespace manager

Result<int> Events::fd() const {
  TRY_VOID(state_->check_open());
  if (state_->check_may_act()) state_->far->follow();
  return state_->events->fd();
}

Result<std::vector<Event>> Events::read() const {
  TRY_VOID(state_->check_open());
  if (state_->check_may_act()) state_->far->follow();
  auto events = state_->events->read();
  if (events)
    for (const auto& event : *events) state_->telemetry->found_ended(event.task);
  return events;
}

Result<std::vector<Event>> Events::since(std::int64_t since) const {
  TRY_VOID(state_->check_open());
  TRY(auto found, store::scan_records(state_->session));
  std::vector<Event> events;
  for (const auto& task : found.tasks) manager::append_recorded_events(state_->session, task, since, events);
  manager::sort_events(events);
  return events;
}

}  // namespace perdure
