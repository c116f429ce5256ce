#pragma once

#include "far/far_task.h"
#include "far/programs.h"
#include "far/slurm.h"
#include "manager/far/mirror.h"
#include "manager/link/launch_spec.h"
#include "manager/link/telemetry.h"
#include "store/session.h"
#include <perdure/manager.h>

#include <map>
#include <string>
#include <vector>

// Tasks that are jobs of a cluster. The folder of the executor lies on a file system that this host and the nodes share.
// It is a session of its own, in which each task has one writer: its job, whose process is the runner. What that runner
// writes is the truth; Slurm is asked only for what the runner can't say: before it started, and once it is gone.
//
//   tasks/<id>/launch   what to run; goes when the job has taken it
//   tasks/<id>/job.sh   the job's script
//   tasks/<id>/claim/   made by the job first: a second copy of it leaves (exit 73), so nothing ever runs twice
//   tasks/<id>/answer   the runner's answer to its launch (contract/control.h)
//   tasks/<id>/engine.log  what Slurm printed
namespace perdure::manager {

class Cluster {
 public:
  Cluster(const store::Session& session, const ExecutorDefinition& executor, Telemetry& telemetry)
      : session_(session), executor_(executor), telemetry_(telemetry), there_(executor.folder) {}

  /// Puts all that the job needs into the folder, and fills in what sbatch is to be told. Errors: session_unusable for a
  /// folder that others may write.
  [[nodiscard]] Result<> prepare(far::FarTask& task, const StartOptions& options, const far::Programs& programs,
                                 const std::string& launch) const;

  /// Submits it; whoever calls has its entry. Errors: as of far::submit_job().
  [[nodiscard]] Result<Task> submit(const far::FarTask& task) const;

  /// Of one whose submitter was killed: finds its job by the token, or submits it.
  [[nodiscard]] Result<> settle_unplaced(const far::FarTask& task) const;

  /// Mirrors what the folder shows. True: something was new. Asks nobody.
  [[nodiscard]] Result<bool> look(const std::vector<far::FarTask>& tasks);

  /// Asks Slurm once for all of them. True: what it said is not yet certain, so ask again in kCachesMs.
  [[nodiscard]] Result<bool> ask(const std::vector<far::FarTask>& tasks);
  static constexpr std::int64_t kCachesMs = 5'000;  // for which a shared file system may show what was

  /// Passes on the stop that is noted in it.
  [[nodiscard]] Result<> stop(const far::FarTask& task) const;
  /// Calls perdure on the task's node.
  [[nodiscard]] Result<far::StepAnswer> call(const far::FarTask& task, const std::vector<std::string>& words,
                                             std::int64_t limit_ms) const;
  /// Errors: usage where the job may not go on for so long; 0 asks for no deadline.
  [[nodiscard]] Result<> check_extension(const far::FarTask& task, std::chrono::milliseconds timeout) const;
  /// Removes what is in the folder.
  [[nodiscard]] Result<> remove(const TaskId& id) const;

 private:
  [[nodiscard]] bool is_claimed(const TaskId& id) const;
  [[nodiscard]] std::string file(const TaskId& id, std::string_view name) const;
  [[nodiscard]] Result<bool> copy_log(const TaskId& id) const;
  [[nodiscard]] Result<bool> mirror(const far::FarTask& task);
  [[nodiscard]] Result<> note_state(const far::FarTask& task, const far::JobState& job) const;
  [[nodiscard]] Result<> end(const far::FarTask& task, const far::JobState& job, far::JobPhase phase) const;
  [[nodiscard]] Result<> forget(const far::FarTask& task) const;

  const store::Session& session_;
  const ExecutorDefinition& executor_;
  Telemetry& telemetry_;
  store::Session there_;
  std::map<TaskId, std::string> seen_;         // the record there, as it was mirrored last
  std::map<TaskId, std::int64_t> over_since_;  // steady clock: Slurm says that the job is over, its record does not
};

/// The words of sbatch for these options: resources, then the executor's own, then the task's.
[[nodiscard]] Result<std::vector<std::string>> sbatch_options(const ExecutorDefinition& executor,
                                                              const StartOptions& options);

/// The deadline that the runner gets: that of the task, and before that of the job; 0: none.
[[nodiscard]] std::chrono::milliseconds deadline_in_job(const ExecutorDefinition& executor,
                                                        const StartOptions& options);

}  // namespace perdure::manager
