#include "base/clock.h"
#include "base/error.h"
#include "base/files.h"
#include "base/try.h"
#include "contract/names.h"
#include "far/channel.h"
#include "manager/far/cluster.h"
#include "manager/far/turn.h"
#include "store/agent.h"
#include "store/ownership.h"

#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

// How a task becomes a job: its files in the executor's folder, its script, its submission.
namespace perdure::manager {
namespace {

using std::chrono::milliseconds;

constexpr std::int64_t kMinuteMs = 60'000;

Result<> copy_program(const std::string& from, const std::string& folder, const std::string& name) {
  std::error_code error;
  std::filesystem::copy_file(from, folder + "/" + name, std::filesystem::copy_options::overwrite_existing, error);
  if (error) return fail_os(error.value(), "copying", folder + "/" + name);
  if (::chmod((folder + "/" + name).c_str(), 0700) != 0) return fail_errno("copying", folder + "/" + name);
  return {};
}

// Whole under another name first: running jobs keep the programs that they were started with.
Result<std::string> install(const std::string& place, const far::Programs& programs) {
  if (::access((place + "/perdure-runner").c_str(), X_OK) == 0) return place;
  const std::string draft = fmt::format("{}.{}", place, ::getpid());
  TRY_VOID(make_folders(draft));
  TRY_VOID(copy_program(programs.perdure, draft, "perdure"));
  TRY_VOID(copy_program(programs.runner, draft, "perdure-runner"));
  if (::rename(draft.c_str(), place.c_str()) != 0) {
    std::error_code ignored;
    std::filesystem::remove_all(draft, ignored);
    if (::access((place + "/perdure-runner").c_str(), X_OK) != 0) return fail_errno("making", place);
  }
  return place;
}

std::string job_script(const std::string& folder, const std::string& id, const std::string& bin) {
  const std::string task = folder + "/tasks/" + id;
  return fmt::format(
      "#!/bin/sh\n"
      "# The claim: a second copy of this job, by a requeue or by hand, must not run.\n"
      "d={}\n"
      "mkdir \"$d/claim\" 2>/dev/null || {{ echo \"claimed already: $(cat \"$d/claim/by\" 2>/dev/null)\" >&2; exit 73; "
      "}}\n"
      "m=; b=; n=\n{{ read -r m < /etc/machine-id; read -r b < /proc/sys/kernel/random/boot_id; "
      "read -r n < /proc/sys/kernel/hostname; }} 2>/dev/null\n"
      "echo \"$SLURM_JOB_ID $n $m $b\" > \"$d/claim/by\"\n"
      "e=$SLURM_JOB_END_TIME; [ -n \"$e\" ] || e=$(SLURM_TIME_FORMAT=%s squeue -h -j \"$SLURM_JOB_ID\" -o %e "
      "2>/dev/null)\n"
      "case $e in ''|*[!0-9]*) e=0;; esac\n"
      "exec 3<\"$d/launch\" 4>\"$d/answer\" || exit 74\n"
      "rm -f \"$d/launch\"\n"
      "export {}=\"$e\" {}={}\n"
      "exec {} {} {}\n",
      far::for_shell(task), contract::kInPlaceVariable, contract::kRunnerVariable, far::for_shell(id + "@" + folder),
      far::for_shell(bin + "/perdure-runner"), far::for_shell(folder), id);
}

}  // namespace

Result<std::vector<std::string>> sbatch_options(const ExecutorDefinition& executor, const StartOptions& options) {
  std::vector<std::string> words;
  for (const auto* given : {&executor.options, &options.executor_options})
    for (const auto& word : *given) {
      TRY_VOID(far::check_option(word));
      words.push_back(word);
    }
  const double cpus = options.cpus > 0 ? options.cpus : options.cpu_max;
  if (cpus > 0) words.push_back(fmt::format("--cpus-per-task={}", static_cast<int>(cpus + 0.999)));
  if (options.memory_max > 0) words.push_back(fmt::format("--mem={}K", (options.memory_max + 1023) / 1024));
  if (!options.gpus.empty()) words.push_back("--gres=gpu:" + options.gpus);
  if (!options.partition.empty()) words.push_back("--partition=" + options.partition);
  milliseconds limit = options.time_limit;
  if (limit.count() == 0 && options.timeout.count() > 0) limit = options.timeout + executor.margin;
  if (limit.count() > 0) words.push_back(fmt::format("--time={}", (limit.count() + kMinuteMs - 1) / kMinuteMs));
  return words;
}

std::string Cluster::folder_of(const ExecutorDefinition& executor, const far::Programs& programs) {
  return fmt::format("{}/bin/{}", executor.folder, programs.tag);
}

Result<> Cluster::prepare(far::FarTask& task, const StartOptions& options, const Work& work,
                          const far::Programs& programs, const std::string& launch) const {
  const TaskId& id = task.planned.id;
  TRY(auto words, sbatch_options(executor_, options));
  task.words = std::move(words);
  TRY_VOID(check_answers());
  TRY_VOID(there_.create());
  TRY_VOID(store::check_owner(there_));
  TRY(auto bin, install(folder_of(executor_, programs), programs));
  task.machine = bin;
  TRY_VOID(there_.claim(id));
  TRY(const auto folder, there_.open_folder(id));
  if (work.is_agent) TRY_VOID(store::write_plan(there_, id, work.plan));
  TRY_VOID(replace_file(folder.get(), "launch", launch, file(id, "launch")));
  return replace_file(folder.get(), "job.sh", job_script(executor_.folder, id.str(), bin), file(id, "job.sh"));
}

Result<Task> Cluster::submit(const far::FarTask& task) const {
  const TaskId& id = task.planned.id;
  if (::access(file(id, "job.sh").c_str(), R_OK) != 0) {
    auto gone = fail(ErrorCode::task_launch_failed, fmt::format("{} is not there", file(id, "job.sh")));
    gone.error().details["refused"] = "true";
    return gone;
  }
  auto options = task.words;
  const Turn turn = turn_of(session_, task);
  if (!turn.followed.empty()) options.push_back(as_dependency(turn.followed));
  auto job = far::submit_job({.token = task.planned.executor->token,
                              .folder = executor_.folder,
                              .log = file(id, "engine.log"),
                              .script = file(id, "job.sh"),
                              .options = std::move(options)});
  far::FarTask placed = task;
  if (!job && !turn.followed.empty() && job.error().message.contains("dependency")) {
    // Slurm has forgotten the job that this one follows, and its end is not known here yet: it is waited for here.
    placed.is_parked = true;
    TRY_VOID(far::write_far_task(session_, placed));
    if (auto shown = far::unplaced(session_, id)) return std::move(*shown);
    return placed.planned;
  }
  if (!job) return std::unexpected(job.error());
  placed.place = *job;
  placed.planned.executor->place = *job;
  placed.planned.executor->submitted_at = time_at(now_ms());
  ++placed.attempts;
  TRY_VOID(far::write_far_task(session_, placed));
  TRY_VOID(far::enter(session_, id));
  if (auto shown = far::unplaced(session_, id)) return std::move(*shown);
  return placed.planned;
}

Result<> Cluster::settle_unplaced(const far::FarTask& task) const {
  const TaskId& id = task.planned.id;
  TRY(auto right, far::take_entry(session_, id));
  if (!right) return {};
  auto again = far::read_far_task(session_, id);
  if (!again || again->place) return {};
  const auto end_as = [&](Status status, std::string reason) -> Result<> {
    TRY_VOID(
        end_without_record(session_, telemetry_, id, {.status = status, .evidence = {}, .reason = std::move(reason)}));
    return {};
  };
  if (again->is_parked) {
    if (again->stop) return end_as(Status::killed, again->stop->reason);
    const Turn turn = turn_of(session_, *again);
    if (turn.state == Turn::State::waits) return {};
    if (turn.state == Turn::State::never) return end_as(Status::killed, turn.reason);
    // From here on it may have been submitted, whatever becomes of this process.
    again->is_parked = false;
    TRY_VOID(far::write_far_task(session_, *again));
  }
  TRY_VOID(check_answers());
  const std::string& token = again->planned.executor->token;
  TRY(const auto jobs, far::ask_jobs({token}, cancel_fd_));
  if (const auto job = jobs.find(token); job != jobs.end()) {
    again->place = job->second.id;
    again->planned.executor->place = job->second.id;
    again->attempts = std::max(again->attempts, 1);
    TRY_VOID(far::write_far_task(session_, *again));
    return far::enter(session_, id);
  }
  // One that ran to its end and was forgotten by Slurm has left its claim, and its record with it.
  if (is_claimed(id)) return {};
  if (again->stop) return end_as(Status::killed, again->stop->reason);
  auto submitted = submit(*again);
  if (submitted) return {};
  if (submitted.error().details.contains("refused"))
    return end_as(Status::failed, "not submitted: " + submitted.error().message);
  return std::unexpected(submitted.error());
}

}  // namespace perdure::manager
