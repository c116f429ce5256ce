#pragma once

#include "far/far_task.h"
#include "far/host.h"
#include "manager/far/cluster.h"
#include "manager/link/telemetry.h"
#include "store/session.h"
#include <perdure/manager.h>

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>

namespace perdure::manager {

using Executors = std::shared_ptr<const std::map<std::string, ExecutorDefinition>>;

/// Time limits of a call to another host.
inline constexpr std::int64_t kCallMs = 60'000, kStopMs = 60'000;

/// One manager's contact with the executors that its session uses. Thread-safe. An executor is contacted when a caller
/// starts, stops or feeds a task of it, and followed while a caller waits: one connection and one thread for each,
/// which end with the last of its tasks or with this object.
class FarContact {
 public:
  FarContact(const store::Session& session, Executors executors, std::string runner, Telemetry& telemetry);
  ~FarContact();
  FarContact(const FarContact&) = delete;
  FarContact& operator=(const FarContact&) = delete;

  /// Errors: usage for a name that is not configured, config_invalid for one that may not be used.
  [[nodiscard]] Result<const ExecutorDefinition*> find(const std::string& name) const;

  /// This installation's programs, which are copied to other hosts.
  [[nodiscard]] Result<far::Programs> programs() const;

  /// Which machine it is and what it needs: known from an earlier use, else asked now.
  [[nodiscard]] Result<far::KnownHost> meet(const ExecutorDefinition& executor) const;

  /// Starts a task whose entry was written. A parked one waits: its entry must be free. Returns a queued task if it is not
  /// known whether the executor took it; the next contact settles that. After an error it did not start, and nothing of
  /// it is left here.
  [[nodiscard]] Result<Task> submit(const far::FarTask& task) const;

  /// Follows every executor with unfinished tasks. Returns at once.
  void follow();

  /// Will no event report that task's end? So it is if the host refuses the login or does not know the outcome itself,
  /// or if no executor of that name is configured.
  [[nodiscard]] bool is_out_of_reach(const Task& task);

  /// Contacts each executor once; `only` "": all.
  void refresh(const std::string& only = {});

  /// The cluster of that executor; absent: it is not a cluster.
  [[nodiscard]] std::optional<Cluster> cluster_of(const std::string& executor) const;

  /// Runs perdure on the task's host. `words` contain the id there. Errors: task_not_running if it was not placed.
  [[nodiscard]] Result<far::Answer> call(const far::FarTask& task, const std::vector<std::string>& words,
                                         std::int64_t until) const;
  /// Passes on the stop that is noted in `task`. Returns when the task has ended there.
  [[nodiscard]] Result<> ask_to_stop(const far::FarTask& task) const;

  /// A descriptor whose bytes go to the task's input; the caller closes it.
  [[nodiscard]] Result<int> open_input(const far::FarTask& task);
  /// Waits until the bytes written to closed ones have arrived. Errors: the host's answer.
  [[nodiscard]] Result<> end_inputs(const TaskId& id);

  [[nodiscard]] Result<ExecutorReport> check(const std::string& name) const;

 private:
  struct Following {
    std::jthread thread;
    bool is_over = false;  // guarded by mutex_
  };
  enum class Mode { once, held };

  [[nodiscard]] Result<far::Host> host_of(const ExecutorDefinition& executor) const;
  [[nodiscard]] std::vector<far::FarTask> tasks_of(const std::string& executor) const;
  [[nodiscard]] Result<bool> find_by_key(const far::FarTask& task) const;
  [[nodiscard]] Result<> settle_unplaced(const far::FarTask& task) const;
  [[nodiscard]] Result<Task> place(const far::FarTask& task, const std::string& machine, std::int64_t until) const;
  [[nodiscard]] Result<> ask_in_turn(const ExecutorDefinition& executor, Cluster& cluster, bool& unsure) const;
  [[nodiscard]] Result<> hear_cluster(const ExecutorDefinition& executor, Mode mode);
  [[nodiscard]] Result<> hear(const ExecutorDefinition& executor, Mode mode);
  void note_silence_of(const std::string& executor, const std::string& why) const;
  void follow_one(const ExecutorDefinition& executor);

  const store::Session& session_;
  Executors executors_;
  std::string runner_;
  Telemetry& telemetry_;
  Fd cancel_;  // an eventfd: readable from the moment this object goes; none without executors
  std::mutex mutex_;
  std::int64_t looked_at_ = 0;  // the time of the entries' last change, at the last scan
  std::map<std::string, Following> followed_;
  std::set<std::string> out_of_reach_;  // names of executors and ids of tasks
  std::multimap<TaskId, far::Channel> inputs_;
};

/// The parameters of a request for a task on another host.
struct FarSide {
  const store::Session& session;
  Telemetry& telemetry;
  FarContact& contact;
};

/// The error that `perdure --json` printed on the other host, as an Error.
[[nodiscard]] Error error_there(const far::Answer& answer, const std::string& place);

}  // namespace perdure::manager
