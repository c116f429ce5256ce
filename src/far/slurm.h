#pragma once

#include "base/error.h"
#include <perdure/executor.h>

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Slurm, as its own programs show it: sbatch, squeue, scancel, srun. Text is read, never JSON, whose shape changes
// between versions. Every call has a limit, and none uses the caller's environment, of which Slurm would keep a copy.
namespace perdure::far {

/// What a job needs besides its script.
struct JobRequest {
  std::string token;                 ///< its name: unique, and known before it is submitted
  std::string folder;                ///< its working folder; absolute
  std::string log;                   ///< for what Slurm itself prints
  std::string script;                ///< path; whole on disk, so that a killed sbatch has read all of it or nothing
  std::vector<std::string> options;  ///< of sbatch, checked
};

/// The job's id. Errors: task_launch_failed with Slurm's words where it refused; far_failure(kUnreachable) where it is not
/// known whether there is a job: ask for the token.
[[nodiscard]] Result<std::string> submit_job(const JobRequest& request);

struct JobState {
  std::string id, token;
  std::string state;   ///< "PENDING", "RUNNING", ...
  std::string reason;  ///< "Priority", ...; "" for none
  std::string node;
  std::string exit;  ///< as Slurm prints it: the raw wait status
};
/// Jobs of these tokens that Slurm knows, the newest of each. Errors: far_failure(kUnreachable).
[[nodiscard]] Result<std::map<std::string, JobState>> ask_jobs(const std::vector<std::string>& tokens);

/// Signals a job to end, if id and token fit. Success says nothing about the job. Errors: far_failure(kUnreachable).
[[nodiscard]] Result<> cancel_job(const std::string& token, const std::string& id);

/// Runs words on the job's node, beside it; its exit status. Errors: far_failure(kUnreachable).
struct StepAnswer {
  int exit_status = 0;
  std::string output, errors;
};
[[nodiscard]] Result<StepAnswer> run_beside(const std::string& id, const std::vector<std::string>& words,
                                            std::int64_t limit_ms);

/// How long a running job may go on by its time limit; absent: for ever, or it is not known. Errors:
/// far_failure(kUnreachable).
[[nodiscard]] Result<std::optional<std::chrono::milliseconds>> time_left(const std::string& id);
/// squeue's "[DAYS-][[HOURS:]MINUTES:]SECONDS".
[[nodiscard]] std::optional<std::chrono::milliseconds> parse_time_left(std::string_view text);

/// Is that node up, so that nothing of an earlier job lives on it? (Its slurmd ends orphans when it registers.)
[[nodiscard]] Result<bool> is_node_up(const std::string& node);

/// What a state means for a task of which no end is recorded.
enum class JobPhase { waiting, running, cancelled, failed, timed_out, preempted, out_of_memory, node_failed };
/// Total: an unknown word is `running`.
[[nodiscard]] JobPhase phase_of(std::string_view state);

/// Errors: usage for an option of sbatch that Perdure itself must set.
[[nodiscard]] Result<> check_option(std::string_view word);

/// What Slurm is here, for people: "slurm 22.05.8". Errors: far_failure(kUnreachable).
[[nodiscard]] Result<std::string> slurm_version();
/// Lines of `scontrol show config` as pairs. Errors: far_failure(kUnreachable).
[[nodiscard]] Result<std::map<std::string, std::string>> slurm_settings();

}  // namespace perdure::far
