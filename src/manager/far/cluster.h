#pragma once

#include "far/far_task.h"
#include "far/programs.h"
#include "far/slurm.h"
#include "manager/far/mirror.h"
#include "manager/link/launch_kind.h"
#include "manager/link/launch_spec.h"
#include "manager/link/telemetry.h"
#include "store/session.h"
#include <perdure/manager.h>

#include <map>
#include <string>
#include <vector>

// Tasks that are jobs of a cluster. The executor's folder is on a file system that this host and the nodes share. It is
// a session of its own, in which each task has one writer: its job, whose process is the runner. The record of that
// runner decides; Slurm is asked only about the times before the runner starts and after it is gone.
//
//   tasks/<id>/launch   what to run; goes when the job has taken it
//   tasks/<id>/job.sh   the job's script
//   tasks/<id>/claim/   made by the job first: a second copy of it leaves (exit 73), so nothing ever runs twice
//   tasks/<id>/answer   the runner's answer to its launch (contract/control.h)
//   tasks/<id>/engine.log  what Slurm printed
namespace perdure::manager {

class Cluster {
 public:
  /// `cancel_fd`, readable: what only asks gives up.
  Cluster(const store::Session& session, const ExecutorDefinition& executor, Telemetry& telemetry, int cancel_fd = -1)
      : session_(session),
        executor_(executor),
        telemetry_(telemetry),
        there_(store::Session::unseen(executor.folder)),
        cancel_fd_(cancel_fd) {}

  /// Does the shared file system answer? To be asked before anything in it is looked at, which could not be given up.
  /// Errors: far_failure(kUnreachable), after 10 s.
  [[nodiscard]] Result<> check_answers() const;

  /// Puts everything that the job needs into the folder, and sets the options of sbatch. Errors: session_unusable for a
  /// folder that others may write.
  [[nodiscard]] Result<> prepare(far::FarTask& task, const StartOptions& options, const Work& work,
                                 const far::Programs& programs, const std::string& launch) const;

  /// Where the programs are, as the nodes see it.
  [[nodiscard]] static std::string folder_of(const ExecutorDefinition& executor, const far::Programs& programs);

  /// Submits it. The caller must hold its entry. Errors: as of far::submit_job().
  [[nodiscard]] Result<Task> submit(const far::FarTask& task) const;

  /// For a task whose submitter was killed: finds its job by the token, or submits it.
  [[nodiscard]] Result<> settle_unplaced(const far::FarTask& task) const;

  /// Mirrors the folder's contents. True: something was new. Does not ask Slurm.
  [[nodiscard]] Result<bool> look(const std::vector<far::FarTask>& tasks);

  /// Asks Slurm once about all of them. True: the answer is not certain yet, so ask again in kCachesMs.
  [[nodiscard]] Result<bool> ask(const std::vector<far::FarTask>& tasks);
  static constexpr std::int64_t kCachesMs = 5'000;  // for which a shared file system may show old contents

  /// Passes on the stop that is noted in `task`.
  [[nodiscard]] Result<> stop(const far::FarTask& task) const;
  /// Runs perdure on the task's node.
  [[nodiscard]] Result<far::StepAnswer> call(const far::FarTask& task, const std::vector<std::string>& words,
                                             std::int64_t limit_ms) const;
  /// Errors: usage if the job's time limit is shorter; 0 asks for no deadline.
  [[nodiscard]] Result<> check_extension(const far::FarTask& task, std::chrono::milliseconds timeout) const;
  /// Removes the task from the folder.
  [[nodiscard]] Result<> remove(const TaskId& id) const;

 private:
  [[nodiscard]] bool is_claimed(const TaskId& id) const;
  [[nodiscard]] std::string file(const TaskId& id, std::string_view name) const;
  [[nodiscard]] Result<bool> copy_log(const TaskId& id) const;
  [[nodiscard]] Result<bool> mirror(const far::FarTask& task);
  [[nodiscard]] Result<> note_state(const far::FarTask& task, const far::JobState& job) const;
  [[nodiscard]] std::string why_cancelled(const far::FarTask& task, const far::JobState& job) const;
  [[nodiscard]] Result<> end(const far::FarTask& task, const far::JobState& job, far::JobPhase phase) const;
  [[nodiscard]] Result<> forget(const far::FarTask& task) const;

  const store::Session& session_;
  const ExecutorDefinition& executor_;
  Telemetry& telemetry_;
  store::Session there_;
  int cancel_fd_;
  mutable std::int64_t answered_at_ = -1;      // steady clock
  std::map<TaskId, std::string> seen_;         // the record there, as it was mirrored last
  std::map<TaskId, std::int64_t> over_since_;  // steady clock: Slurm says that the job is over, its record does not
};

/// The words of sbatch for these options: resources, then the executor's own options, then the task's.
[[nodiscard]] Result<std::vector<std::string>> sbatch_options(const ExecutorDefinition& executor,
                                                              const StartOptions& options);

/// The deadline for the runner: the task's timeout, at most the job's time limit less the margin; 0: none.
[[nodiscard]] std::chrono::milliseconds deadline_in_job(const ExecutorDefinition& executor,
                                                        const StartOptions& options);

}  // namespace perdure::manager
