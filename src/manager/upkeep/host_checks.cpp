#include "manager/upkeep/host_checks.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/files.h"
#include "base/process.h"
#include "manager/link/program.h"
#include "manager/upkeep/doctor.h"
#include "store/stale_files.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <ctime>
#include <string_view>

namespace perdure::manager {
namespace {

constexpr std::int64_t kLittleRoom = 64 << 20;
constexpr int kLittlePercent = 1;

using Level = Finding::Level;

std::string in_words(std::int64_t bytes) {
  if (bytes < 1 << 20) return fmt::format("{} KiB", (bytes + 1023) >> 10);
  if (bytes < std::int64_t{10} << 30) return fmt::format("{} MiB", bytes >> 20);
  return fmt::format("{} GiB", bytes >> 30);
}

void look_at_disk(const std::string& path, std::vector<Finding>& findings) {
  struct statvfs disk{};
  if (::statvfs(path.c_str(), &disk) != 0) return;
  const auto block = static_cast<std::int64_t>(disk.f_frsize);
  const auto free = static_cast<std::int64_t>(disk.f_bavail) * block;
  const auto whole = static_cast<std::int64_t>(disk.f_blocks) * block;
  findings.push_back(
      {Level::note, path,
       fmt::format("uses {}; {} are free on its disk", in_words(store::disk_use(path)), in_words(free))});
  if (free < kLittleRoom || free < whole / 100 * kLittlePercent)
    findings.push_back({Level::problem, path,
                        "the disk is almost full: output will be lost and records can't be written: "
                        "make room, or see `perdure gc`"});
  if (disk.f_files > 0 && disk.f_favail < disk.f_files / 100 * kLittlePercent)
    findings.push_back(
        {Level::problem, path, "the disk has hardly any inodes left: tasks can't be started: remove files"});
  if ((disk.f_flag & ST_RDONLY) != 0)
    findings.push_back({Level::problem, path, "is mounted read-only: no task can be started or settled in it"});
}

// The owner of new files in the folder; if it is another user, no session can be kept there (L49).
void look_at_new_files(const Fd& unnamed, const std::string& path, std::vector<Finding>& findings) {
  struct stat about{};
  if (!unnamed || ::fstat(unnamed.get(), &about) != 0 || about.st_uid == ::geteuid()) return;
  findings.push_back(
      {Level::problem, path,
       fmt::format("its file system gives new files to uid {} (root_squash, or an option of the mount): keep the "
                   "session on a disk where they belong to you",
                   about.st_uid)});
}

}  // namespace

bool is_remote(const std::string& path) {
  constexpr std::int64_t kCifs = 0xFF534D42, kSmb2 = 0xFE534D42, kNinep = 0x01021997, kFuse = 0x65735546,
                         kCeph = 0x00C36400, kAfs = 0x5346414F, kLustre = 0x0BD00BD0, kGpfs = 0x47504653;
  struct statfs about{};
  if (::statfs(path.c_str(), &about) != 0) return false;
  const auto type = static_cast<std::int64_t>(about.f_type) & 0xFFFFFFFF;
  return type == NFS_SUPER_MAGIC || type == kCifs || type == kSmb2 || type == kNinep || type == kFuse ||
         type == kCeph || type == kAfs || type == kLustre || type == kGpfs;
}

namespace {

void look_at_file_system(const std::string& path, std::vector<Finding>& findings) {
  // Leaves nothing behind: the file has no name.
  const Fd unnamed(::open(path.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!unnamed && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL))
    findings.push_back({Level::note, path,
                        "its file system has no unnamed files (O_TMPFILE): the output of foreground "
                        "tasks is kept in hidden files meanwhile"});
  look_at_new_files(unnamed, path, findings);
  if (is_remote(path))
    findings.push_back({Level::note, path,
                        "is on a remote or user-space file system: locks and events may not reach "
                        "every machine, so open it from one machine at a time"});
}

void look_at_modes(const store::Session& session, std::vector<Finding>& findings) {
  for (const auto& path : {session.path(), session.tasks_path()}) {
    struct stat about{};
    if (::stat(path.c_str(), &about) != 0) continue;
    if ((about.st_mode & 0077U) != 0)
      findings.push_back({Level::note, path,
                          fmt::format("others may read or change it (mode {:o}): `chmod 700 {}`",
                                      about.st_mode & 07777U, shell_quoted({path}))});
    if (about.st_uid != ::geteuid())
      findings.push_back(
          {Level::problem, path,
           fmt::format("belongs to uid {}: only that user can start and stop tasks in it{}", about.st_uid,
                       is_remote(path) ? " (the server may give root's files to it: root_squash)" : "")});
  }
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())) != 0) text.remove_prefix(1);
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) text.remove_suffix(1);
  return text;
}

// Sets `kills` if the file contains the setting.
void read_logind_file(const std::string& path, bool& kills) {
  const std::string content = read_kernel_file(path);
  std::string_view rest = content;
  while (!rest.empty()) {
    const auto end = std::min(rest.find('\n'), rest.size() - 1);
    const std::string_view line = trimmed(rest.substr(0, end + 1));
    rest.remove_prefix(end + 1);
    const auto equals = line.find('=');
    if (equals == std::string_view::npos || trimmed(line.substr(0, equals)) != "KillUserProcesses") continue;
    const std::string_view value = trimmed(line.substr(equals + 1));
    kills = value == "yes" || value == "true" || value == "1" || value == "on";
  }
}

// Some inits reap once a second, so a zombie that is younger does not count.
constexpr std::int64_t kReapedWithinMs = 3'000;

// Runners that have exited and that their parent, pid 1, has not reaped.
std::vector<ProcessIdentity> unreaped_runners() {
  std::vector<ProcessIdentity> found;
  for (const pid_t pid : all_processes()) {
    const auto look = look_at_process(pid);
    if (!look || look->state != 'Z' || look->parent != 1) continue;
    if (now_ms() - start_time_ms(look->start_ticks) < kReapedWithinMs) continue;
    const std::string name(trimmed(read_kernel_file(fmt::format("/proc/{}/comm", pid))));
    if (name == "perdure-runner") found.push_back({pid, look->start_ticks});
  }
  return found;
}

// They stay in the process table until it does. An old process may have exited just now, so only those count that are
// still there after the time that a slow init takes.
void look_at_pid_1(std::vector<Finding>& findings) {
  const auto is_still_there = [](const ProcessIdentity& process) {
    const auto look = look_at_process(process.pid);
    return look && look->start_ticks == process.start_ticks;
  };
  auto unreaped = unreaped_runners();
  for (const std::int64_t until = steady_ms() + kReapedWithinMs; !unreaped.empty() && steady_ms() < until;) {
    const timespec a_moment{0, 50'000'000};
    ::nanosleep(&a_moment, nullptr);
    std::erase_if(unreaped, [&](const ProcessIdentity& process) { return !is_still_there(process); });
  }
  if (unreaped.empty()) return;
  findings.push_back(
      {Level::problem, "pid 1",
       fmt::format("{} does not reap: {} runners that have ended stay in the table of processes, which fills "
                   "up; run the container with an init (docker run --init)",
                   command_line_of(1), unreaped.size())});
}

}  // namespace

bool kills_user_processes(const std::string& folder) {
  bool kills = false;
  read_logind_file(folder + "/logind.conf", kills);
  const std::string more = folder + "/logind.conf.d";
  std::vector<std::string> names;
  if (auto opened = open_folder_at(AT_FDCWD, more, more))
    for (const auto& entry : read_folder(opened->get(), more).value_or(std::vector<FolderEntry>()))
      if (entry.name.ends_with(".conf")) names.push_back(entry.name);
  std::ranges::sort(names);  // the last file with the setting counts
  for (const auto& name : names) read_logind_file(more + "/" + name, kills);
  return kills;
}

std::vector<Finding> look_at_surroundings(const store::Session& session, const ManagerOptions& options) {
  std::vector<Finding> findings;
  if (session.exists()) {
    look_at_modes(session, findings);
    look_at_disk(session.path(), findings);
    look_at_file_system(session.path(), findings);
  }
  look_at_pid_1(findings);
  if (const Fd watch(::inotify_init1(IN_CLOEXEC)); !watch)
    findings.push_back({Level::note, "inotify",
                        fmt::format("no instance is to be had ({}): events are looked for once a "
                                    "second; see fs.inotify.max_user_instances",
                                    describe_errno(errno))});
  if (kills_user_processes("/etc/systemd"))
    findings.push_back({Level::note, "systemd-logind",
                        "KillUserProcesses=yes: logging out kills runners and their "
                        "tasks: `loginctl enable-linger`, and start them from a user service"});
  const auto runner = find_runner(options.runner);
  if (!runner) {
    findings.push_back({Level::problem, "perdure-runner", runner.error().message});
  } else if (::access(runner->c_str(), X_OK) != 0) {
    findings.push_back({Level::problem, "perdure-runner",
                        fmt::format("{}: {}: no task can be started: install it, or set PERDURE_RUNNER_PATH", *runner,
                                    describe_errno(errno))});
  } else {
    look_at_runner(*runner, findings);
  }
  return findings;
}

}  // namespace perdure::manager
