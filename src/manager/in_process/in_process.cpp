#include "manager/in_process/in_process.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/files.h"
#include "base/try.h"
#include "codec/unescape.h"
#include "contract/lock_page.h"
#include "contract/names.h"
#include "contract/outcome.h"
#include "manager/link/runner_client.h"
#include "manager/status/reconcile.h"
#include "store/active.h"
#include "store/records.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>

namespace perdure {

InProcessTask::~InProcessTask() = default;

std::stop_token TaskSink::stop_token() const {
  return run_->stop_token();
}

bool TaskSink::append_output(std::string_view bytes) {
  return run_->append_output(bytes);
}

bool TaskSink::settle(const TaskResult& settlement) {
  return run_->settle(settlement);
}

namespace manager {
namespace {

constexpr const char* kFailedWithoutReason = "The subagent failed";

constexpr std::int64_t kRetryMs = 1'000;  // between attempts to write while the disk refuses
constexpr int kBacklog = 64;

std::int64_t from_now(std::int64_t ms) {
  return steady_ms() + std::max<std::int64_t>(0, ms);
}

}  // namespace

Waker::Waker() : fd_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void Waker::wake() const {
  const std::uint64_t one = 1;
  static_cast<void>(!::write(fd_.get(), &one, sizeof one));
}

void Waker::drain() const {
  std::uint64_t count = 0;
  static_cast<void>(!::read(fd_.get(), &count, sizeof count));
}

InProcessRun::InProcessRun(store::Session session, std::shared_ptr<Telemetry> telemetry,
                           std::shared_ptr<const Waker> waker, std::shared_ptr<InProcessTask> user, Task task,
                           std::chrono::milliseconds grace)
    : session_(std::move(session)),
      telemetry_(std::move(telemetry)),
      waker_(std::move(waker)),
      id_(task.id),
      grace_ms_(grace.count()),
      user_(std::move(user)),
      task_(std::move(task)) {}

Result<> InProcessRun::register_task() {
  const std::scoped_lock guard(mutex_);
  TRY(auto lock, store::RunnerLock::take(session_, id_));
  if (!lock) return fail(ErrorCode::session_unusable, id_.str() + " is another task's id");
  lock_.emplace(std::move(*lock));
  Result<> done = lock_->introduce(*task_.host.runner);
  if (done) done = open_control();
  task_.started_at = time_at(now_ms());
  task_.started_seq = session_.next_seq();
  if (done) done = store::add_to_active(session_, id_);
  if (done) done = store::write_record(task_);
  if (!done) {
    lock_->clean_up_and_release();
    return done;
  }
  lock_->note_gate();
  if (task_.limits.timeout_ms) deadline_at_ = from_now(*task_.limits.timeout_ms);
  return {};
}

Result<> InProcessRun::open_control() {
  const std::string path = session_.folder_path(id_) + "/" + contract::kControlSocket;
  TRY(auto folder, session_.open_folder(id_));
  listener_ = Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener_) return fail_errno("making", path);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  // Through the folder's descriptor: a socket address has room for 107 bytes only.
  const std::string name = fmt::format("/proc/self/fd/{}/{}", folder.get(), contract::kControlSocket);
  std::memcpy(address.sun_path, name.c_str(), name.size() + 1);
  ::unlinkat(folder.get(), contract::kControlSocket, 0);
  if (::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener_.get(), kBacklog) != 0)
    return fail_errno("making", path);
  return {};
}

bool InProcessRun::append_output(std::string_view bytes) {
  const std::scoped_lock guard(output_mutex_);
  if (output_closed_) return false;
  if (bytes.empty()) return true;
  if (!log_) {
    auto folder = session_.open_folder(id_);
    auto log = folder ? open_at(folder->get(), contract::kOutputFile, O_WRONLY | O_CREAT | O_APPEND, id_.str())
                      : Result<Fd>(std::unexpected(folder.error()));
    if (log) log_ = std::move(*log);
  }
  while (log_ && !bytes.empty()) {
    const ssize_t n = ::write(log_.get(), bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    stored_ += n;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  unstored_ += static_cast<std::int64_t>(bytes.size());
  return bytes.empty();
}

bool InProcessRun::settle(const TaskResult& settlement) {
  bool counts = false;
  {
    const std::scoped_lock guard(mutex_);
    if (phase_ != Phase::running && phase_ != Phase::ending) return false;
    // The one exception to "the first cause decides" (L14); after a deadline there is none (L09).
    counts = phase_ == Phase::running || (cause_ == Cause::stop && task_.kind == Kind::agent);
    if (counts) {
      cause_ = Cause::settled;
      const bool succeeded = settlement.exit_code ? *settlement.exit_code == 0 : settlement.succeeded;
      task_.status = succeeded ? Status::completed : Status::failed;
      if (task_.kind == Kind::process) task_.process.exit_code = settlement.exit_code.value_or(succeeded ? 0 : 1);
      task_.stop_reason.reset();
      task_.agent.stop_code = settlement.stop_code;
      lock_->note_exit(succeeded ? 0 : settlement.exit_code.value_or(1), now_ms());
      // For a subagent a reason means that it failed (contract/outcome.h).
      std::string reason = succeeded ? "" : settlement.reason;
      if (!succeeded && task_.kind == Kind::agent && reason.empty()) reason = kFailedWithoutReason;
      if (!reason.empty()) task_.stop_reason = reason;
      const bool quiet = task_.notification.suppressed.value_or(false);
      const auto escaped = escaped_reason(reason);
      lock_->note_decision(contract::word_of(quiet ? contract::Cause::exit_quietly : contract::Cause::exit),
                           escaped ? *escaped : kFailedWithoutReason, now_ms());
    }
    phase_ = Phase::committing;
  }
  commit();
  return counts;
}

void InProcessRun::stop(std::string_view word, std::string_view escaped_reason, std::optional<std::int64_t> grace_ms) {
  const std::int64_t grace = grace_ms.value_or(grace_ms_);
  bool asks = false;
  {
    const std::scoped_lock guard(mutex_);
    if (phase_ == Phase::ending && grace == 0) force_at_ = steady_ms();  // a second stop can only shorten the grace
    if (phase_ == Phase::running) {
      phase_ = Phase::ending;
      cause_ = Cause::stop;
      asks = true;
      const std::string reason = codec::unescape(escaped_reason);
      if (!reason.empty()) task_.stop_reason = reason;
      if (word == contract::word_of(contract::Cause::stop_quietly)) task_.notification.suppressed = true;
      lock_->note_decision(word, escaped_reason, now_ms());
      force_at_ = from_now(grace);
    }
  }
  if (asks) stop_.request_stop();
  waker_->wake();
}

Result<bool> InProcessRun::detach(std::optional<std::int64_t> timeout_ms) {
  std::optional<Task> now;
  {
    // Held while the record is written, so that an end that comes now is written after it.
    const std::scoped_lock guard(mutex_);
    if (phase_ != Phase::running || task_.detached) return false;
    task_.detached = true;
    if (timeout_ms) {
      task_.limits.timeout_ms = *timeout_ms > 0 ? timeout_ms : std::nullopt;
      deadline_at_ = *timeout_ms > 0 ? from_now(*timeout_ms) : -1;
    }
    if (auto written = store::write_record(task_); !written) {
      task_.detached = false;
      return std::unexpected(written.error());
    }
    now = task_;
  }
  telemetry_->started_alone(*now);
  try {
    if (const auto object = user()) object->on_detach();
  } catch (...) {  // NOLINT(bugprone-empty-catch): an exception of the user's code must not affect the task
  }
  return true;
}

void InProcessRun::end_now(std::string_view reason) {
  stop(contract::word_of(contract::Cause::stop), reason, 0);
  force();
  std::unique_lock guard(mutex_);
  if (phase_ == Phase::committing && retry_at_ >= 0) return;  // the disk refuses; the notes in the lock file stay
  ended_.wait(guard, [&] { return phase_ == Phase::ended || retry_at_ >= 0; });
}

std::int64_t InProcessRun::next_due() const {
  const std::scoped_lock guard(mutex_);
  switch (phase_) {
    case Phase::running: return deadline_at_;
    case Phase::ending: return force_at_;
    case Phase::committing: return retry_at_;
    case Phase::ended: return -1;
  }
  return -1;
}

void InProcessRun::on_time() {
  const std::int64_t now = steady_ms();
  bool asks = false, forces = false, writes = false;
  {
    const std::scoped_lock guard(mutex_);
    if (phase_ == Phase::running && deadline_at_ >= 0 && deadline_at_ <= now) {
      phase_ = Phase::ending;
      cause_ = Cause::deadline;
      lock_->note_decision(contract::word_of(contract::Cause::deadline), "", now_ms());
      force_at_ = from_now(grace_ms_);
      asks = true;
    }
    forces = phase_ == Phase::ending && force_at_ <= now;
    writes = phase_ == Phase::committing && retry_at_ >= 0 && retry_at_ <= now;
    if (writes) retry_at_ = -1;
  }
  if (asks) stop_.request_stop();
  if (forces) force();
  if (writes) write_end();
}

void InProcessRun::force() {
  {
    const std::scoped_lock guard(mutex_);
    if (phase_ != Phase::ending) return;
    phase_ = Phase::committing;
  }
  try {
    if (const auto object = user()) object->force_stop();
  } catch (...) {  // NOLINT(bugprone-empty-catch): its end is recorded whatever that code does
  }
  commit();
}

void InProcessRun::commit() {
  {
    const std::scoped_lock guard(output_mutex_);
    output_closed_ = true;
    log_.reset();
  }
  {
    const std::scoped_lock guard(mutex_);
    if (cause_ == Cause::stop) task_.status = Status::killed;
    if (cause_ == Cause::deadline) task_.status = Status::timed_out;
    task_.ended_at = time_at(std::max(now_ms(), ms_of(task_.started_at)));
    if (unstored_ > 0) task_.output.unstored_bytes = unstored_;
  }
  write_end();
}

// Called by the one thread that changed the phase to committing, or later by the timer: no other thread touches the
// task meanwhile, and none waits for the mutex while the disk is slow.
void InProcessRun::write_end() {
  const bool done = commit_end(session_, task_, *lock_, *telemetry_).has_value();
  {
    const std::scoped_lock guard(mutex_);
    if (done) {
      phase_ = Phase::ended;
      lock_.reset();
    } else {
      retry_at_ = from_now(kRetryMs);
    }
  }
  ended_.notify_all();
  waker_->wake();
}

std::shared_ptr<InProcessTask> InProcessRun::user() const {
  const std::scoped_lock guard(mutex_);
  return user_;
}

void InProcessRun::let_go_of_user() {
  std::shared_ptr<InProcessTask> object;  // destroyed after the lock is released, since its destructor is user code
  {
    const std::scoped_lock guard(mutex_);
    object = std::move(user_);
  }
}

bool InProcessRun::has_ended() const {
  const std::scoped_lock guard(mutex_);
  return phase_ == Phase::ended;
}

bool InProcessRun::is_detached() const {
  const std::scoped_lock guard(mutex_);
  return task_.detached;
}

std::string InProcessRun::owner() const {
  const std::scoped_lock guard(mutex_);
  return task_.owner.value_or("");
}

std::string InProcessRun::output_counts() const {
  const std::scoped_lock guard(output_mutex_);
  return fmt::format("{} 0 {}", stored_, unstored_);
}

}  // namespace manager
}  // namespace perdure
