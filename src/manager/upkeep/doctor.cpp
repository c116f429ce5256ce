#include "manager/upkeep/doctor.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/files.h"
#include "base/process.h"
#include "base/try.h"
#include "base/visit_folder.h"
#include "codec/record.h"
#include "contract/names.h"
#include "manager/link/state.h"
#include "manager/status/assess.h"
#include "manager/upkeep/host_checks.h"
#include "store/output_log.h"
#include "store/precedence.h"
#include "store/records.h"
#include "store/rows.h"
#include "store/runner_lock.h"
#include "store/stale_files.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

namespace perdure {
namespace manager {
namespace {

using Level = Finding::Level;

// Another program wrote what it believes of a task of ours.
void look_at_copy(const store::Session& session, const TaskId& id, const std::string& path,
                  std::vector<Finding>& findings) {
  const auto bytes = read_regular_file(AT_FDCWD, path, codec::kMaxRecordBytes, path);
  const auto copy = bytes ? codec::decode(*bytes, id.str()) : std::unexpected(bytes.error());
  const auto ours = store::find_record(session, id);
  const bool says_the_same = copy && ours && *ours && copy->status == (*ours)->status &&
                             copy->process.exit_code == (*ours)->process.exit_code &&
                             copy->ended_at == (*ours)->ended_at;
  findings.push_back({says_the_same ? Level::note : Level::problem, path,
                      says_the_same
                          ? fmt::format("is a copy of the record of {}, which Perdure runs: it is not read", id.str())
                          : fmt::format("is not what holds of {}, which Perdure runs: another program wrote it; it "
                                        "is not read, and it may be removed",
                                        id.str())});
}

// Ids with a record in more than one folder: one takes precedence, the others are copies (L54).
Result<> look_for_doubles(const store::Session& session, std::vector<Finding>& findings) {
  auto folders = session.record_folders();
  if (!folders) return std::unexpected(folders.error());
  if (folders->size() < 2) return {};
  store::Precedence precedence(session);
  std::map<std::string, std::string> first;
  for (const auto& path : *folders) {
    auto folder = open_folder_at(AT_FDCWD, path, path);
    if (!folder) continue;
    auto entries = read_folder(folder->get(), path);
    if (!entries) return std::unexpected(entries.error());
    for (const auto& entry : *entries) {
      constexpr std::string_view kSuffix = ".json";
      if (!entry.name.ends_with(kSuffix)) continue;
      const auto id = TaskId::parse(std::string_view(entry.name).substr(0, entry.name.size() - kSuffix.size()));
      if (!id || !id->has_record_form()) continue;
      const bool is_copy = path != session.tasks_path() && precedence.is_ours(*id);
      if (is_copy) {
        look_at_copy(session, *id, path + "/" + entry.name, findings);
        continue;
      }
      const auto [seen, is_new] = first.try_emplace(id->str(), path + "/" + entry.name);
      if (!is_new)
        findings.push_back({Level::note, path + "/" + entry.name,
                            fmt::format("is not read: {} has the same id and wins, readable or not", seen->second)});
    }
  }
  return {};
}

// Does the log have as many bytes as its record says (L56)?
void look_at_log(const std::string& id, std::int64_t bytes, bool has_dropped, const std::string& folder,
                 std::vector<Finding>& findings) {
  if (bytes == 0) return;
  struct stat about{};
  const std::string path = folder + "/" + contract::kOutputFile;
  const bool is_there = ::lstat(path.c_str(), &about) == 0;
  if (is_there && (has_dropped || about.st_size >= bytes)) return;
  findings.push_back({Level::problem, id,
                      fmt::format("{} of the {} bytes that it printed are missing: its log {} was {}",
                                  bytes - (is_there ? about.st_size : 0), bytes, path, is_there ? "cut" : "removed")});
}

void look_at_ended(const store::Session& session, const Task& task, std::vector<Finding>& findings) {
  const std::string& id = task.id.str();
  if (is_own_record(session, task))
    look_at_log(id, task.output.bytes.value_or(0), task.output.dropped_bytes.value_or(0) > 0,
                store::output_folder(session, task), findings);
  if (task.status == Status::lost)
    findings.push_back({Level::note, id,
                        task.lost_evidence ? fmt::format("is lost; evidence: {}", name_of(*task.lost_evidence))
                                           : std::string("is lost; its record says nothing of why")});
  if (!task.process.survivors.empty()) {
    const bool any = std::ranges::any_of(task.process.survivors, [](std::int64_t pid) {
      const auto look = look_at_process(pid);
      return look && !look->is_dead();
    });
    // A pid alone proves nothing for long; that none of them is there does.
    findings.push_back({any ? Level::problem : Level::note, id,
                        fmt::format("processes outlived SIGKILL: {}: {}", fmt::join(task.process.survivors, ", "),
                                    any ? "look whether they are still its own" : "none of them is alive now")});
  }
  if (task.ended_at && *task.ended_at < task.started_at)
    findings.push_back({Level::note, id,
                        fmt::format("ended {} ms before it started: the clock was set back meanwhile",
                                    ms_of(task.started_at) - ms_of(*task.ended_at))});
}

// Until the clock has caught up, ages, retention and the order of lists are wrong.
void look_at_clock(const std::string& id, std::int64_t latest_ms, std::vector<Finding>& findings) {
  constexpr std::int64_t kMinute = 60'000;
  const std::int64_t ahead = latest_ms - now_ms();
  if (ahead > kMinute)
    findings.push_back(
        {Level::note, id,
         fmt::format("started or ended {} minutes from now: the clock was set back since, or this one is "
                     "slow: look at it with `date`",
                     ahead / kMinute)});
}

// Is it running under another boot, in a session that other machines can reach? Then one of them may run it.
bool may_run_elsewhere(const Task& task, bool is_remote_session) {
  return is_remote_session && task.found.unverified && task.host.boot_id && *task.host.boot_id != boot_id();
}

void look_at_running(const Assessment& found, bool is_remote_session, std::vector<Finding>& findings) {
  const Task& task = found.task;
  const std::string& id = task.id.str();
  if (may_run_elsewhere(task, is_remote_session)) {
    findings.push_back(
        {Level::problem, id,
         fmt::format("runs under another boot{}, and the session is on remote storage: it can be judged and stopped "
                     "only on the machine that runs it; if that is gone: `perdure reconcile --adopt`",
                     task.host.name ? fmt::format(", on host {}", *task.host.name) : "")});
  } else if (task.found.runner_gone) {
    findings.push_back({Level::problem, id, found.explained + ": `perdure reconcile` ends them"});
  } else if (task.found.unverified) {
    findings.push_back(
        {Level::note, id, fmt::format("runs by its record, which can't be verified: {}", found.explained)});
  } else if (found.settles) {
    const std::string evidence = task.lost_evidence ? fmt::format(", evidence: {}", name_of(*task.lost_evidence)) : "";
    findings.push_back(
        {Level::note, id,
         fmt::format("its record says running, but it is {}{}: {}: {}", name_of(task.status), evidence, found.explained,
                     store::can_be_written(task)
                         ? "`perdure reconcile` writes that"
                         : "no record of the current shape can have its id, so it stays as it is")});
  }
}

constexpr std::string_view kLeftProcesses =
    "has ended; processes that it left behind run on: `perdure stop` "
    "ends them";

Result<> look_at_task(const store::Session& session, Task recorded, bool is_remote_session,
                      std::vector<Finding>& findings) {
  auto found = assess(session, std::move(recorded));
  if (!found && found.error().os_error == ENOENT) return {};  // removed meanwhile
  if (!found) return std::unexpected(found.error());
  const Task& task = found->task;
  if (is_terminal(task.status) && !found->settles) {
    look_at_ended(session, task, findings);
  } else {
    look_at_running(*found, is_remote_session, findings);
  }
  look_at_clock(task.id.str(), std::max(ms_of(task.started_at), ms_of(task.ended_at).value_or(0)), findings);
  // Other programs keep house themselves.
  if (is_terminal(task.status) && is_own_record(session, task))
    look_at_removability(task.found.source, store::output_folder(session, task), findings);
  if (is_own_record(session, task) && store::has_leftovers(session, task.id).value_or(false))
    findings.push_back({Level::note, task.id.str(), std::string(kLeftProcesses)});
  if (task.output.unstored_bytes.value_or(0) > 0)
    findings.push_back({Level::note, task.id.str(),
                        fmt::format("{} bytes of its output were refused by the disk: make room before it is run again",
                                    *task.output.unstored_bytes)});
  return {};
}

// Names in the session's own folder of tasks, kept as numbers: of most ended tasks nothing but the record is there.
class TaskFolders {
 public:
  static Result<TaskFolders> of(const store::Session& session) {
    TaskFolders folders;
    auto tasks = session.open_tasks();
    if (!tasks && is_absence(tasks.error().os_error)) return folders;
    if (!tasks) return std::unexpected(tasks.error());
    TRY_VOID(visit_folder(tasks->get(), session.tasks_path(), [&](std::string_view name, unsigned char) {
      if (!name.ends_with(".json")) folders.names_.push_back(std::hash<std::string_view>()(name));
    }));
    std::ranges::sort(folders.names_);
    return folders;
  }
  [[nodiscard]] bool contains(std::string_view id) const {
    return std::ranges::binary_search(names_, std::hash<std::string_view>()(id));
  }

 private:
  std::vector<std::size_t> names_;
};

// What there is to say of an ended task, by its row as far as that says all.
Result<> look_at_row(const store::Session& session, const codec::Row& row, const TaskFolders& folders,
                     bool is_remote_session, std::vector<Finding>& findings) {
  if (row.is_remarkable || row.shape == Shape::kimi_cli) {
    TRY(auto task, store::read_row(session, row));
    return task ? look_at_task(session, std::move(*task), is_remote_session, findings) : Result<>();
  }
  const std::string name(row.id);
  const bool is_own = row.has_runner && row.source.empty();
  const bool has_folder = is_own && folders.contains(row.id);
  const std::string folder = is_own ? session.tasks_path() + "/" + name : std::string();
  if (is_own) look_at_log(name, row.output_bytes, row.has_dropped, folder, findings);
  look_at_clock(name, std::max(row.started_at, row.ended_at.value_or(0)), findings);
  if (is_own) look_at_removability(folder + ".json", has_folder ? folder : std::string(), findings);
  if (has_folder && store::has_leftovers(session, *TaskId::parse(row.id)).value_or(false))
    findings.push_back({Level::note, name, std::string(kLeftProcesses)});
  return {};
}

// In the order of their ids. It is all system calls: a second thread is worth having for large sessions.
Result<> look_at_rows(const store::Session& session, const store::RowSet& rows, bool is_remote_session,
                      std::vector<Finding>& findings) {
  constexpr std::size_t kWorthAThread = 2000;
  TRY(const auto folders, TaskFolders::of(session));
  const std::size_t workers = std::clamp<std::size_t>(
      rows.size() / kWorthAThread, 1, std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, 8));
  std::vector<std::vector<Finding>> parts(workers);
  std::vector<Result<>> done(workers);
  const auto look_at_part = [&](std::size_t worker) {
    const std::size_t share = rows.size() / workers + 1;
    const std::size_t to = std::min((worker + 1) * share, rows.size());
    for (std::size_t i = worker * share; i < to && done[worker]; ++i)
      done[worker] = look_at_row(session, rows.at(i), folders, is_remote_session, parts[worker]);
  };
  {
    std::vector<std::jthread> threads;
    for (std::size_t worker = 1; worker < workers; ++worker) threads.emplace_back(look_at_part, worker);
    look_at_part(0);
  }
  for (std::size_t worker = 0; worker < workers; ++worker) {
    TRY_VOID(std::move(done[worker]));
    std::ranges::move(parts[worker], std::back_inserter(findings));
  }
  return {};
}

Result<> look_at_tasks(const store::Session& session, store::RowScan found, std::vector<Finding>& findings) {
  const bool is_remote_session = is_remote(session.path());
  std::ranges::sort(found.live, {}, &Task::id);
  for (auto& task : found.live) TRY_VOID(look_at_task(session, std::move(task), is_remote_session, findings));
  found.rows.sort_by_id();
  return look_at_rows(session, found.rows, is_remote_session, findings);
}

std::string_view name_of(store::Litter::What what) {
  switch (what) {
    case store::Litter::What::temporary: return "a temporary file of a process that is gone";
    case store::Litter::What::folder: return "the folder of a task without a record";
    case store::Litter::What::key: return "an idempotency key of a task that is gone";
    case store::Litter::What::entry: return "the undelivered end of a task that is gone";
  }
  return "";
}

}  // namespace
}  // namespace manager

Result<std::vector<Finding>> Upkeep::doctor() const {
  TRY_VOID(state_->check_open());
  const auto& session = state_->session;
  std::vector<Finding> findings;
  if (!session.exists()) {
    findings.push_back({Finding::Level::note, session.path(), "does not exist yet: the first task makes it"});
    return findings;
  }
  auto found = store::scan_rows(session);
  if (!found) return std::unexpected(found.error());
  std::ranges::sort(found->bad, {}, &BadRecord::path);
  for (const auto& bad : found->bad)
    findings.push_back(
        {Finding::Level::problem, bad.path, bad.reason + ": it is left as it is: put it right, or remove it"});
  TRY_VOID(manager::look_for_doubles(session, findings));
  TRY_VOID(manager::look_at_tasks(session, std::move(*found), findings));
  TRY_VOID(manager::look_at_admission(session, findings));
  TRY_VOID(manager::look_at_outbox(session, findings));
  auto litter = store::find_litter(session);
  if (!litter) return std::unexpected(litter.error());
  for (const auto& one : *litter)
    findings.push_back(
        {Finding::Level::note, one.path, fmt::format("is {}: `perdure gc` sweeps it", manager::name_of(one.what))});
  std::ranges::move(manager::look_at_surroundings(session, state_->options), std::back_inserter(findings));
  return findings;
}

}  // namespace perdure
