#include "manager/far/cluster.h"

#include "base/clock.h"
#include "base/files.h"
#include "base/try.h"
#include "base/words.h"
#include "contract/names.h"
#include "far/channel.h"
#include "manager/far/turn.h"
#include "manager/status/assess.h"
#include "store/ownership.h"
#include "store/records.h"
#include "store/stale_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

namespace perdure::manager {
namespace {

using std::chrono::milliseconds;

// For that long a job may be missing because Slurm lost it with its state.
constexpr std::int64_t kResubmitMs = 300'000;
constexpr std::int64_t kReachMs = 10'000;
constexpr std::int64_t kAnsweredMs = 1'000;  // for which an answer of the file system is taken as one
constexpr std::size_t kMostSmallFile = 65'536;
constexpr std::size_t kPart = 1 << 20;

std::string small_file(const std::string& path) {
  const auto text = read_regular_file(AT_FDCWD, path, kMostSmallFile, path);
  return text ? *text : "";
}

std::string tail_of(const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  struct stat about{};
  if (!file || ::fstat(file.get(), &about) != 0) return "";
  std::string text(4096, '\0');
  const ssize_t n = ::pread(file.get(), text.data(), text.size(), std::max<off_t>(0, about.st_size - 4096));
  text.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  return text;
}

// Slurm's node says why it ends a job before it signals its processes, all of them at once: a command that ends at that
// may be seen to by the runner before the runner has its own signal. It did not end by itself all the same.
void add_words_of_slurm(const far::FarTask& task, std::string_view engine, Task& record) {
  constexpr std::string_view kCancelled = "Cancelled in Slurm";
  const bool was_cancelled = engine.contains("*** JOB ") && engine.contains(" CANCELLED AT ");
  const bool by_itself = record.status == Status::failed || record.status == Status::completed;
  if (was_cancelled && by_itself && !record.stop_reason) {
    record.status = Status::killed;
    record.stop_reason = kCancelled;
  }
  const bool at_limit = engine.contains("DUE TO TIME LIMIT");
  if (record.status == Status::timed_out && !record.timed_out_by && at_limit) record.timed_out_by = "executor";
  if (record.status != Status::killed || record.stop_reason != kCancelled) return;
  if (task.stop) {
    record.stop_reason = task.stop->reason;
  } else if (engine.contains("DUE TO PREEMPTION")) {
    record.stop_reason = "Preempted in Slurm";
  } else if (at_limit) {
    record.status = Status::timed_out;
    record.timed_out_by = "executor";
    record.process.exit_code.reset();
    record.process.signal.reset();
    record.stop_reason.reset();
  }
}

}  // namespace

milliseconds deadline_in_job(const ExecutorDefinition& executor, const StartOptions& options) {
  if (options.time_limit.count() == 0) return options.timeout;
  const milliseconds most = std::max(options.time_limit - executor.margin, milliseconds(1'000));
  return options.timeout.count() > 0 ? std::min(options.timeout, most) : most;
}

std::string Cluster::file(const TaskId& id, std::string_view name) const {
  return fmt::format("{}/{}", there_.folder_path(id), name);
}

Result<> Cluster::check_answers() const {
  if (answered_at_ >= 0 && steady_ms() - answered_at_ < kAnsweredMs) return {};
  if (auto answers = far::check_answers(executor_.folder, cancel_fd_); !answers) return answers;
  answered_at_ = steady_ms();
  return {};
}

bool Cluster::is_claimed(const TaskId& id) const {
  return ::access(file(id, "claim").c_str(), F_OK) == 0;
}

// The log on the cluster only grows while the job runs, and so does the copy.
Result<bool> Cluster::copy_log(const TaskId& id) const {
  const std::string path = file(id, contract::kOutputFile);
  const Fd log(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!log && is_absence(errno)) return false;
  if (!log)
    return far::far_failure(far::kUnreachable, fmt::format("{} can't be read: {}", path, describe_errno(errno)));
  std::int64_t at = mirrored_bytes(session_, id);
  std::string part(kPart, '\0');
  bool any = false;
  while (true) {
    const ssize_t n = ::pread(log.get(), part.data(), part.size(), at);
    if (n < 0)
      return far::far_failure(far::kUnreachable, fmt::format("{} can't be read: {}", path, describe_errno(errno)));
    if (n == 0) return any;
    if (auto added = add_output(session_, id, at, std::string_view(part).substr(0, static_cast<std::size_t>(n)));
        !added)
      return std::unexpected(added.error());
    at += n;
    any = true;
  }
}

Result<bool> Cluster::mirror(const far::FarTask& task) {
  const TaskId& id = task.planned.id;
  auto record = store::find_record(there_, id);
  if (!record) return far::far_failure(far::kUnreachable, record.error().message);
  auto grew = copy_log(id);
  if (!grew) return grew;
  if (!*record) return *grew;
  std::string& seen = seen_[id];
  if (seen == (*record)->found.raw) return *grew;
  // The log of an ended task is complete before its record exists: it was read after the log, so the rest is copied
  // now.
  if (is_terminal((*record)->status)) {
    if (auto rest = copy_log(id); !rest) return rest;
    const std::string engine = tail_of(file(id, "engine.log"));
    add_words_of_slurm(task, engine, **record);
  }
  const std::string raw = (*record)->found.raw;
  auto taken = take_over(session_, telemetry_, id, **record, {});
  if (!taken) return std::unexpected(taken.error());
  seen = raw;
  return true;
}

Result<bool> Cluster::look(const std::vector<far::FarTask>& tasks) {
  TRY_VOID(check_answers());
  struct stat about{};
  if (::stat(executor_.folder.c_str(), &about) != 0)
    return far::far_failure(far::kUnreachable, fmt::format("the folder {} can't be looked at: {}", executor_.folder,
                                                           describe_errno(errno)));
  bool changed = false;
  for (const auto& task : tasks) {
    auto one = mirror(task);
    if (!one) return one;
    changed |= *one;
  }
  return changed;
}

Result<> Cluster::note_state(const far::FarTask& task, const far::JobState& job) const {
  const TaskId& id = task.planned.id;
  TRY(auto known, store::find_record(session_, id));
  const auto differs = [&](const ExecutorState& executor) {
    return executor.state != job.state || executor.reason.value_or("") != job.reason || executor.silent_since;
  };
  const auto set = [&](ExecutorState& executor) {
    executor.state = job.state;
    executor.reason = job.reason.empty() ? std::nullopt : std::optional(job.reason);
    if (!job.node.empty()) executor.node = job.node;
    executor.seen_at = time_at(now_ms());
    executor.silent_since.reset();
  };
  if (known) return update_executor(session_, id, set, differs);
  far::FarTask again = task;
  if (!differs(*again.planned.executor)) return {};
  set(*again.planned.executor);
  return far::write_far_task(session_, again);
}

// Of a job that never started. Slurm cancels one whose predecessor did not complete.
std::string Cluster::why_cancelled(const far::FarTask& task, const far::JobState& job) const {
  const Turn turn = turn_of(session_, task);
  if (turn.state == Turn::State::never) return turn.reason;
  if (job.reason.contains("Dependency")) return "A task that it was to follow did not complete";
  return "Cancelled in Slurm before it started";
}

// The job is over and the runner said nothing: the notes of a killed one, then Slurm's words.
Result<> Cluster::end(const far::FarTask& task, const far::JobState& job, far::JobPhase phase) const {
  const TaskId& id = task.planned.id;
  FarEnd end;
  const bool claimed = is_claimed(id);
  if (claimed) {
    if (auto record = store::find_record(there_, id); record && *record && !is_terminal((*record)->status)) {
      auto found = assess_without_runner(there_, **record);
      if (found && found->settles && found->task.recovered.value_or(false)) {
        TRY_VOID(copy_log(id));
        add_words_of_slurm(task, tail_of(file(id, "engine.log")), found->task);
        auto taken = take_over(session_, telemetry_, id, found->task, {});
        if (!taken) return std::unexpected(taken.error());
        return {};
      }
    }
  }
  const std::string answer = small_file(file(id, "answer"));
  const auto os_error_in = [&](std::size_t at) {
    int number = 0;
    std::from_chars(answer.data() + at, answer.data() + answer.size(), number);
    return number;
  };
  if (answer.starts_with("exec ") || answer.starts_with("cwd ") || answer.starts_with("failed ")) {
    const int error = os_error_in(answer.find(' ') + 1);
    end = {.status = Status::failed,
           .evidence = {},
           .reason =
               fmt::format("cannot run '{}' on {}: {}", task.planned.process.command, job.node, describe_errno(error))};
    end.exit_code = answer.starts_with("exec ") && error == ENOENT ? 127 : 126;
  } else if (phase == far::JobPhase::cancelled || phase == far::JobPhase::preempted) {
    end = {.status = Status::killed, .evidence = {}, .reason = "Cancelled in Slurm"};
    if (phase == far::JobPhase::preempted)
      end.reason = "Preempted in Slurm";
    else if (!claimed)
      end.reason = why_cancelled(task, job);
    if (task.stop) end.reason = task.stop->reason;
  } else if (phase == far::JobPhase::timed_out) {
    end = {.status = Status::timed_out, .evidence = {}, .reason = {}, .timed_out_by = "executor"};
  } else if (!claimed) {
    end = {.status = Status::failed,
           .evidence = {},
           .reason = fmt::format("Slurm could not start it: {} {}", job.state, job.reason)};
  } else {
    end = {.status = Status::lost,
           .evidence = phase == far::JobPhase::node_failed ? Evidence::node_fail : Evidence::runner_killed,
           .reason = {}};
  }
  TRY_VOID(copy_log(id));
  end.state = job.state;
  end.engine_reason = job.reason;
  end.exit = job.exit;
  auto ended = end_without_record(session_, telemetry_, id, end);
  if (!ended) return std::unexpected(ended.error());
  return {};
}

// Slurm answers and does not know the job.
Result<> Cluster::forget(const far::FarTask& task) const {
  const TaskId& id = task.planned.id;
  const ExecutorState& executor = *task.planned.executor;
  const bool was_seen = executor.state.has_value();
  if (!is_claimed(id) && !was_seen && task.attempts < 2 &&
      now_ms() - ms_of(executor.submitted_at).value_or(0) < kResubmitMs) {
    // A controller that was killed within seconds of the submit has lost the job. It never ran, since there is no
    // claim.
    TRY(auto right, far::take_entry(session_, id));
    if (!right) return {};
    auto submitted = submit(task);
    if (!submitted) return std::unexpected(submitted.error());
    return {};
  }
  const std::string why = "Slurm does not know the job any more";
  TRY(auto known, store::find_record(session_, id));
  std::optional<std::int64_t> since;
  if (known) {
    if (auto noted = note_silence(session_, id, why); !noted) return noted;
    since = ms_of(known->executor->silent_since);
  } else {
    since = ms_of(executor.silent_since);
    if (!since) {
      far::FarTask again = task;
      again.planned.executor->silent_since = time_at(now_ms());
      again.planned.executor->reason = why;
      return far::write_far_task(session_, again);
    }
  }
  if (!since || now_ms() - *since < executor_.lost_after.count()) return {};
  auto ended = end_without_record(session_, telemetry_, id,
                                  {.status = Status::lost, .evidence = Evidence::engine_gone, .reason = why});
  if (!ended) return std::unexpected(ended.error());
  return {};
}

Result<bool> Cluster::ask(const std::vector<far::FarTask>& tasks) {
  std::vector<std::string> tokens;
  for (const auto& task : tasks)
    if (task.place) tokens.push_back(task.planned.executor->token);
  if (tokens.empty()) return false;
  auto jobs = far::ask_jobs(tokens, cancel_fd_);
  if (!jobs) return std::unexpected(jobs.error());
  bool again = false;
  for (const auto& task : tasks) {
    if (!task.place) continue;
    const TaskId& id = task.planned.id;
    TRY(auto known, store::find_record(session_, id));
    if (known && is_terminal(known->status)) continue;
    const auto found = jobs->find(task.planned.executor->token);
    if (found == jobs->end()) {
      TRY_VOID(forget(task));
      continue;
    }
    const far::JobState& job = found->second;
    const far::JobPhase phase = far::phase_of(job.state);
    TRY_VOID(note_state(task, job));
    if (phase == far::JobPhase::waiting || phase == far::JobPhase::running) {
      over_since_.erase(id);
      continue;
    }
    if (phase == far::JobPhase::node_failed && is_claimed(id)) {
      // Its processes may still run on that node. They end when the node registers again.
      const std::string node = job.node.empty() && known ? known->executor->node.value_or("") : job.node;
      TRY(auto up, node.empty() ? Result<bool>(false) : far::is_node_up(node, cancel_fd_));
      const auto since = over_since_.try_emplace(id, steady_ms()).first->second;
      if (!up && steady_ms() - since < executor_.lost_after.count()) {
        TRY_VOID(note_silence(session_, id, "NODE_FAIL"));
        continue;
      }
      TRY_VOID(end(task, job, phase));
      continue;
    }
    const auto since = over_since_.try_emplace(id, steady_ms()).first->second;
    if (is_claimed(id) && steady_ms() - since < kCachesMs) {
      again = true;
      continue;
    }
    auto late = mirror(task);
    if (!late) return late;
    auto now = store::find_record(session_, id);
    if (now && *now && is_terminal((*now)->status)) continue;
    TRY_VOID(end(task, job, phase));
  }
  return again;
}

Result<far::StepAnswer> Cluster::call(const far::FarTask& task, const std::vector<std::string>& words,
                                      std::int64_t limit_ms) const {
  TRY_VOID(check_answers());
  if (!task.place || !is_claimed(task.planned.id))
    return fail(ErrorCode::task_not_running,
                fmt::format("{} waits in Slurm: it has not started yet", task.planned.id.str()));
  std::vector<std::string> all{task.machine + "/perdure", "--session", executor_.folder};
  all.insert(all.end(), words.begin(), words.end());
  return far::run_beside(*task.place, all, limit_ms);
}

Result<> Cluster::check_extension(const far::FarTask& task, milliseconds timeout) const {
  TRY(auto left, far::time_left(task.place.value_or("")));
  if (!left) return {};
  const milliseconds most = *left - executor_.margin;
  if (timeout.count() > 0 && timeout <= most) return {};
  return fail(ErrorCode::usage,
              fmt::format("Slurm ends job {} in {} at the latest: with the margin of {} it can be given {} and no more",
                          task.place.value_or(""), exact_duration(*left), exact_duration(executor_.margin),
                          exact_duration(std::max(most, milliseconds(0)))));
}

Result<> Cluster::stop(const far::FarTask& task) const {
  if (!task.place) return {};
  const TaskId& id = task.planned.id;
  TRY_VOID(check_answers());
  if (is_claimed(id)) {
    std::vector<std::string> words{"stop", id.str(), "--json", "--reason=" + task.stop->reason};
    if (task.stop->grace_ms >= 0) words.push_back(fmt::format("--grace={}ms", task.stop->grace_ms));
    const std::int64_t grace = task.stop->grace_ms >= 0 ? task.stop->grace_ms : contract::kDefaultGraceMs;
    const auto answer = call(task, words, kReachMs + grace);
    if (answer && answer->exit_status == 0) return {};
  }
  return far::cancel_job(task.planned.executor->token, *task.place);
}

Result<> Cluster::remove(const TaskId& id) const {
  TRY_VOID(check_answers());
  auto record = store::find_record(there_, id);
  if (!record) return std::unexpected(record.error());
  if (*record)
    if (auto removed = store::remove_task(there_, **record); !removed) return removed;
  auto tasks = there_.open_tasks();
  if (!tasks && is_absence(tasks.error().os_error)) return {};
  if (!tasks) return std::unexpected(tasks.error());
  return remove_tree_at(tasks->get(), id.str(), there_.folder_path(id));
}

}  // namespace perdure::manager
