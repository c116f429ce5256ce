#pragma once

#include <perdure/task.h>

#include <memory>
#include <stop_token>

namespace perdure {

namespace manager {
class InProcessRun;
}

/// How an in-process task ended by itself.
struct TaskResult {
  bool succeeded = true;                      ///< completed, else failed
  std::optional<int> exit_code = {};          ///< kind process: where it is there, 0 is success; absent: 0 or 1
  std::string reason = {};                    ///< of a failure, in words
  std::optional<std::string> stop_code = {};  ///< kind agent: e.g. "provider.api_error"
};

/// What an in-process task says and hears. A handle: copies are the same task, may outlive the manager, and may be used
/// from any thread. Nothing here waits for another task.
class PERDURE_API TaskSink {
 public:
  /// Stop is requested once by whatever ends the task before it has settled: a stop, its deadline, the manager's end.
  /// Callbacks registered with it run on a thread of the manager and must not block.
  [[nodiscard]] std::stop_token stop_token() const;

  /// Adds to the output. False: the task has ended, or the disk refused some of it (the record says how much).
  bool append_output(std::string_view bytes);

  /// The task has ended. The first cause decides: after a deadline, and after a stop but for an agent's (L14), the
  /// outcome is not this one. Returns once the record is committed, with whether this settlement is what it says; one
  /// that comes late changes nothing.
  bool settle(const TaskResult& settlement);

 private:
  friend class TaskManager;
  explicit TaskSink(std::shared_ptr<manager::InProcessRun> run) : run_(std::move(run)) {}
  std::shared_ptr<manager::InProcessRun> run_ = {};
};

/// A task that is work of this program and no process of its own. What its methods throw makes it fail, or is dropped.
class PERDURE_API InProcessTask {
 public:
  virtual ~InProcessTask();

  /// Begins the work and returns soon; the work goes on elsewhere, or has settled already.
  virtual void start(TaskSink& sink) = 0;

  /// It was in the foreground and is in the background now. Must not block.
  virtual void on_detach() {}

  /// The grace is over and it has not settled: its end is recorded whatever it does. Must not block.
  virtual void force_stop() {}
};

struct InProcessOptions {
  Kind kind = Kind::process;              ///< process or agent
  std::string description = {};           ///< for people; not empty
  bool detached = true;                   ///< false: a caller waits for it: wait_for_release(), detach()
  std::chrono::milliseconds timeout{0};   ///< 0: no deadline (L08)
  std::chrono::milliseconds grace{5000};  ///< between the request to stop and force_stop()
  std::optional<std::string> owner = {};
  std::optional<std::string> tool_call_id = {};
  std::map<std::string, std::string> labels = {};
  bool session_lifetime = false;         ///< true: session close stops it (L16)
  std::optional<AgentId> agent_id = {};  ///< kind agent
  std::optional<std::string> subagent_type = {};
};

}  // namespace perdure
