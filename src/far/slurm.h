#pragma once

#include "base/error.h"
#include <perdure/executor.h>

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Slurm through its own programs: sbatch, squeue, scancel, srun. Parses their text, not JSON, whose structure changes
// between versions. Every call has a time limit, and none passes on the caller's environment, of which Slurm would keep
// a copy.
namespace perdure::far {

/// The parameters of a job.
struct JobRequest {
  std::string token;                 ///< its name: unique, and known before it is submitted
  std::string folder;                ///< its working folder; absolute
  std::string log;                   ///< for Slurm's own messages
  std::string script;                ///< path; complete on disk, so that a killed sbatch has read all of it or nothing
  std::vector<std::string> options;  ///< of sbatch, checked
};

/// The job's id. Errors: task_launch_failed with Slurm's message if it refused; far_failure(kUnreachable) if it is not
/// known whether there is a job: search for the token.
[[nodiscard]] Result<std::string> submit_job(const JobRequest& request);

struct JobState {
  std::string id, token;
  std::string state;   ///< "PENDING", "RUNNING", ...
  std::string reason;  ///< "Priority", ...; "" for none
  std::string node;
  std::string exit;  ///< as Slurm prints it: the raw wait status
};
/// Jobs of these tokens that Slurm knows, the newest of each. Errors: far_failure(kUnreachable).
/// `cancel_fd`, readable: give up.
[[nodiscard]] Result<std::map<std::string, JobState>> ask_jobs(const std::vector<std::string>& tokens,
                                                               int cancel_fd = -1);

/// Signals a job to end if id and token match. Success does not mean that it has ended. Errors:
/// far_failure(kUnreachable).
[[nodiscard]] Result<> cancel_job(const std::string& token, const std::string& id);

/// Runs a command on the job's node, beside it; its exit status. Errors: far_failure(kUnreachable).
struct StepAnswer {
  int exit_status = 0;
  std::string output, errors;
};
[[nodiscard]] Result<StepAnswer> run_beside(const std::string& id, const std::vector<std::string>& words,
                                            std::int64_t limit_ms);

/// How long a running job may continue by its time limit; absent: without a limit, or unknown. Errors:
/// far_failure(kUnreachable).
[[nodiscard]] Result<std::optional<std::chrono::milliseconds>> time_left(const std::string& id);
/// Parses squeue's "[DAYS-][[HOURS:]MINUTES:]SECONDS".
[[nodiscard]] std::optional<std::chrono::milliseconds> parse_time_left(std::string_view text);

/// Is that node up, so that nothing of an earlier job lives on it? (Its slurmd ends orphans when it registers.)
[[nodiscard]] Result<bool> is_node_up(const std::string& node, int cancel_fd = -1);

/// Checks that the file system of that folder answers. Any access to one that hangs blocks, so another process tries it,
/// for 10 s at most. A missing folder is an answer. Errors: far_failure(kUnreachable).
[[nodiscard]] Result<> check_answers(const std::string& folder, int cancel_fd = -1);

/// The meaning of a state for a task without a recorded end.
enum class JobPhase { waiting, running, cancelled, failed, timed_out, preempted, out_of_memory, node_failed };
/// Total: an unknown word is `running`.
[[nodiscard]] JobPhase phase_of(std::string_view state);

/// Errors: usage for an option of sbatch that Perdure itself must set.
[[nodiscard]] Result<> check_option(std::string_view word);

/// The version of Slurm for display: "slurm 22.05.8". Errors: far_failure(kUnreachable).
[[nodiscard]] Result<std::string> slurm_version();
/// Lines of `scontrol show config` as pairs. Errors: far_failure(kUnreachable).
[[nodiscard]] Result<std::map<std::string, std::string>> slurm_settings();

}  // namespace perdure::far
