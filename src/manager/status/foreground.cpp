#include "manager/status/foreground.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/files.h"
#include "base/try.h"
#include "codec/record.h"
#include "contract/control.h"
#include "contract/names.h"
#include "manager/link/cancel_fd.h"
#include "manager/link/state.h"
#include "manager/link/telemetry.h"
#include "manager/status/assess.h"
#include "manager/status/find.h"
#include "manager/status/orphans.h"
#include "store/records.h"
#include "store/runner_lock.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

namespace perdure {
namespace manager {
namespace {

constexpr std::size_t kEndedKept = 32;
constexpr int kAnswerPatienceMs = 1'000;  // a runner stopped by SIGSTOP must not block its clients

Result<std::string> read_whole(const Fd& file) {
  struct stat about{};
  if (::fstat(file.get(), &about) != 0) return fail_errno("reading", "a record");
  std::string text(static_cast<std::size_t>(std::min<off_t>(about.st_size, codec::kMaxRecordBytes)), '\0');
  std::size_t have = 0;
  while (have < text.size()) {
    const ssize_t n = ::pread(file.get(), text.data() + have, text.size() - have, static_cast<off_t>(have));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return fail_errno("reading", "a record");
    have += static_cast<std::size_t>(n);
  }
  return text;
}

}  // namespace

Result<Look> read_look(const store::Session& session, const TaskId& id, RunnerMessage message) {
  if (message.files.empty())
    return fail(ErrorCode::session_unusable, fmt::format("the runner of {} said '{}'", id.str(), message.line));
  TRY(auto text, read_whole(message.files.front()));
  TRY(auto task, codec::decode(text, id.str()));
  task.found.source = session.record_path(id);
  Look look{.task = std::move(task), .log = {}};
  std::string_view words = message.line;
  words = words.substr(0, words.find('\n'));
  std::size_t next = 1;
  for (int word = 0; !words.empty(); ++word) {
    const std::string_view one = words.substr(0, words.find(' '));
    words.remove_prefix(std::min(words.size(), one.size() + 1));
    if (word == 0 || (word == 1 && one != "1")) continue;
    if (next >= message.files.size()) break;
    if (word == 1) {
      look.log.head = std::move(message.files[next++]);
      continue;
    }
    std::int64_t at = 0;
    if (std::from_chars(one.data(), one.data() + one.size(), at).ec != std::errc()) break;
    look.log.segments.push_back({at, std::move(message.files[next++])});
  }
  return look;
}

Result<std::optional<Look>> look_at_foreground(const store::Session& session, const TaskId& id) {
  TRY(auto client, RunnerClient::connect(session, id));
  if (!client || !client->send(contract::kLook)) return std::nullopt;
  pollfd answered{.fd = client->fd(), .events = POLLIN, .revents = 0};
  if (::poll(&answered, 1, kAnswerPatienceMs) <= 0) return std::nullopt;
  auto message = client->receive_message();
  if (!message || message->files.empty()) return std::nullopt;
  TRY(auto look, read_look(session, id, std::move(*message)));
  return std::optional(std::move(look));
}

void HeldTasks::add(const TaskId& id, Fd caller, Task started) {
  auto held = std::make_shared<Held>(std::move(caller), std::move(started));
  const std::scoped_lock lock(mutex_);
  held_.emplace(id, std::move(held));
}

std::shared_ptr<HeldTasks::Held> HeldTasks::find(const TaskId& id) {
  const std::scoped_lock lock(mutex_);
  const auto found = held_.find(id);
  return found == held_.end() ? nullptr : found->second;
}

void HeldTasks::released(const TaskId& id, bool ended) {
  const std::scoped_lock lock(mutex_);
  if (!ended) {
    held_.erase(id);
    return;
  }
  ended_.push_back(id);
  if (ended_.size() <= kEndedKept) return;
  held_.erase(ended_.front());
  ended_.erase(ended_.begin());
}

void HeldTasks::forget(const TaskId& id) {
  const std::scoped_lock lock(mutex_);
  held_.erase(id);
  std::erase(ended_, id);
}

void HeldTasks::clear() {
  const std::scoped_lock lock(mutex_);
  held_.clear();
  ended_.clear();
}

Result<Task> settle_foreground(const store::Session& session, Task started) {
  const auto notes = store::read_runner_notes(session, started.id);
  if (!started.host.runner) started.host.runner = notes.holder;
  TRY(auto lock, store::RunnerLock::take(session, started.id));
  const auto survivors = end_remains(session, started);
  TRY(auto found, assess_without_runner(session, std::move(started)));
  if (lock) lock->clean_up_and_release();
  found.task.found.runner_gone = false;
  for (const auto& process : survivors) found.task.process.survivors.push_back(process.pid);
  if (!is_terminal(found.task.status)) {  // some processes survived: the record names them
    found.task.status = Status::lost;
    found.task.lost_evidence = Evidence::runner_killed;
    found.task.ended_at = time_at(now_ms());
  }
  return std::move(found.task);
}

namespace {

// Interprets a line of the runner for a waiting caller. `line` absent: it was killed, or had no foreground task.
Result<ForegroundResult> understand(TaskManager& manager, const store::Session& session, const TaskId& id,
                                    std::optional<RunnerMessage> message, HeldTasks::Held* held) {
  const std::string word = message ? message->line.substr(0, message->line.find_first_of(" \n")) : std::string();
  if (word == contract::kEnded && !message->files.empty()) {
    TRY(auto look, read_look(session, id, std::move(*message)));
    ForegroundResult released{Release::terminal, look.task};
    if (held != nullptr) held->ended = std::move(look);
    return released;
  }
  TRY(auto task, store::find_record(session, id));
  if (task) {
    TRY(auto now, manager.get(id));
    const Release how = word == contract::kTimeoutDetached ? Release::timeout_detached
                        : is_terminal(now.status)          ? Release::terminal
                                                           : Release::detached;
    return ForegroundResult{how, std::move(now)};
  }
  if (held == nullptr) return unknown_task(session, id);
  TRY(auto settled, settle_foreground(session, held->started));
  ForegroundResult released{Release::terminal, std::move(settled)};
  held->ended = Look{.task = released.task, .log = {}};
  return released;
}

}  // namespace
}  // namespace manager

Result<ForegroundResult> TaskManager::wait_for_release(const TaskId& id,
                                                       std::optional<std::chrono::milliseconds> timeout,
                                                       const Cancellation& cancel) {
  TRY_VOID(state_->check_open());
  const auto& session = state_->session;
  const auto until = timeout ? std::optional(steady_ms() + timeout->count()) : std::nullopt;
  manager::CancelFd cancelled;
  TRY_VOID(cancelled.begin(cancel));
  const auto held = state_->held->find(id);
  std::optional<manager::RunnerClient> observer;
  if (!held) {
    TRY(auto client, manager::RunnerClient::connect(session, id));
    if (!client || !client->send(contract::kRelease)) return manager::understand(*this, session, id, {}, nullptr);
    observer = std::move(client);
  }
  const int fd = held ? held->caller.get() : observer->fd();
  while (true) {
    if (held) {
      const std::scoped_lock lock(held->mutex);
      if (held->released) return *held->released;
    }
    const std::int64_t left = until ? std::clamp<std::int64_t>(*until - steady_ms(), 0, INT32_MAX) : -1;
    pollfd fds[] = {{.fd = fd, .events = POLLIN, .revents = 0},
                    {.fd = cancelled.get(), .events = POLLIN, .revents = 0}};
    const int n = ::poll(fds, 2, static_cast<int>(left));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("waiting in", session.path());
    if (fds[0].revents == 0) {
      auto task = get(id);
      // It is ending right now.
      if (!task && task.error().code == ErrorCode::task_not_found && held) task = held->started;
      if (!task) return std::unexpected(task.error());
      return ForegroundResult{Release::waiting, std::move(*task)};
    }
    if (!held) return manager::understand(*this, session, id, observer->receive_message(), nullptr);
    const std::scoped_lock lock(held->mutex);
    if (held->released) return *held->released;
    auto released = manager::understand(*this, session, id, manager::receive_part(fd), held.get());
    if (!released) return released;
    held->released = *released;
    state_->held->released(id, held->ended.has_value());
    if (released->task.detached) state_->telemetry->started(released->task);  // detached: telemetry counts it from now
    return released;
  }
}

Result<Task> TaskManager::detach(const TaskId& id, std::optional<std::chrono::milliseconds> timeout) {
  TRY_VOID(state_->check_may_act());
  if (timeout && timeout->count() < 0) return fail(ErrorCode::usage, "the timeout is negative: 0 means none");
  const auto& session = state_->session;
  TRY(auto client, manager::RunnerClient::connect(session, id));
  if (client && client->send(fmt::format("{} {}", contract::kDetach, timeout ? timeout->count() : -1))) {
    const auto answer = client->receive();
    if (client->is_silent()) return manager::unresponsive(id);
    if (answer && answer->starts_with("error ")) {
      int os_error = 0;
      std::from_chars(answer->data() + 6, answer->data() + answer->size(), os_error);
      return fail_os(os_error, "detaching", id.str());
    }
  }
  return get(id);
}

Result<Task> TaskManager::retain_output(const TaskId& id) {
  TRY_VOID(state_->check_may_act());
  const auto& session = state_->session;
  const auto held = state_->held->find(id);
  if (!held) return get(id);
  const std::scoped_lock lock(held->mutex);
  if (!held->ended)
    return fail(ErrorCode::usage, fmt::format("{} has not ended in the foreground: detach it instead", id.str()));
  TRY(auto claimed, session.claim(id));
  if (!claimed) return get(id);  // an earlier call kept it
  TRY_VOID(store::name_log(session, id, held->ended->log));
  ::rmdir(session.folder_path(id).c_str());  // fails while a log is in it
  const Task& task = held->ended->task;
  TRY_VOID(store::write_record(task));
  auto kept = get(id);
  if (kept) state_->held->forget(id);
  return kept;
}

}  // namespace perdure
