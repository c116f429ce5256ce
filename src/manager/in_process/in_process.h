#pragma once

#include "base/fd.h"
#include "manager/link/telemetry.h"
#include "store/runner_lock.h"
#include <perdure/in_process.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace perdure::manager {

/// Makes poll() return in the thread that serves the tasks. Any thread may call it.
class Waker {
 public:
  Waker();
  void wake() const;
  void drain() const;
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  Fd fd_;
};

/// One in-process task: to the program's work it is what a runner is to a command. The first cause decides, and the
/// thread that brings it commits. Thread-safe; no lock is held while the user's code runs.
class InProcessRun {
 public:
  InProcessRun(store::Session session, std::shared_ptr<Telemetry> telemetry, std::shared_ptr<const Waker> waker,
               std::shared_ptr<InProcessTask> user, Task task, std::chrono::milliseconds grace);

  /// Takes the lock, makes the socket and the record. On an error nothing is left behind.
  [[nodiscard]] Result<> register_task();

  [[nodiscard]] std::stop_token stop_token() const { return stop_.get_token(); }
  bool append_output(std::string_view bytes);
  bool settle(const TaskResult& settlement);

  /// A stop, by a word of contract/lock_page.h. `reason` is escaped for the lock page. Absent grace: the task's own.
  void stop(std::string_view word, std::string_view escaped_reason, std::optional<std::int64_t> grace_ms);
  /// False: it is not in the foreground. Absent timeout: the present deadline stays.
  [[nodiscard]] Result<bool> detach(std::optional<std::int64_t> timeout_ms);
  /// Ends it now, and waits for a commit in progress in another thread.
  void end_now(std::string_view reason);

  /// When on_time() has to be called, on the steady clock; -1: never.
  [[nodiscard]] std::int64_t next_due() const;
  void on_time();

  /// Only for the thread that serves it.
  [[nodiscard]] int listener() const { return listener_.get(); }
  void close_listener() { listener_.reset(); }
  [[nodiscard]] bool has_ended() const;
  [[nodiscard]] bool is_detached() const;
  [[nodiscard]] std::string owner() const;
  [[nodiscard]] std::string output_counts() const;
  [[nodiscard]] const TaskId& id() const { return id_; }
  /// Call once it has ended: the task's object may hold a sink, which holds this object, and neither would be
  /// destroyed.
  void let_go_of_user();

 private:
  enum class Phase { running, ending, committing, ended };
  enum class Cause { none, settled, stop, deadline };

  Result<> open_control();
  [[nodiscard]] std::shared_ptr<InProcessTask> user() const;
  void force();
  void commit();
  void write_end();

  const store::Session session_;
  const std::shared_ptr<Telemetry> telemetry_;
  const std::shared_ptr<const Waker> waker_;
  const TaskId id_;
  const std::int64_t grace_ms_;
  Fd listener_;
  std::stop_source stop_;

  mutable std::mutex mutex_;  // guards all members below except the output
  std::condition_variable ended_;
  std::shared_ptr<InProcessTask> user_;
  Task task_;
  std::optional<store::RunnerLock> lock_;
  Phase phase_ = Phase::running;
  Cause cause_ = Cause::none;
  std::int64_t deadline_at_ = -1, force_at_ = -1, retry_at_ = -1;

  // The order of the output is the order of the calls: each call holds the mutex during its write.
  mutable std::mutex output_mutex_;
  Fd log_;
  std::int64_t stored_ = 0, unstored_ = 0;
  bool output_closed_ = false;
};

}  // namespace perdure::manager
