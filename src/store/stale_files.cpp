#include "store/stale_files.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/file_lock.h"
#include "base/files.h"
#include "base/process.h"
#include "base/try.h"
#include "base/visit_folder.h"
#include "contract/names.h"
#include "contract/output_marker.h"
#include "store/active.h"
#include "store/outbox.h"
#include "store/output_log.h"
#include "store/records.h"
#include "store/runner_lock.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <dirent.h>
#include <functional>
#include <string_view>

namespace perdure::store {

using namespace contract;

namespace {

constexpr std::int64_t kUntouchedMs = 60'000;  // a living process has finished with its file by then
constexpr std::int64_t kBlock = 512;

std::int64_t changed_ms(const struct stat& about) {
  return std::int64_t{about.st_mtim.tv_sec} * 1000 + about.st_mtim.tv_nsec / 1'000'000;
}

bool is_old(const struct stat& about) {
  return changed_ms(about) + kUntouchedMs < now_ms();
}

// The pid in a name made by replace_file(): ".<name>.<pid>.<n>.tmp"; 0: the name has another form.
std::int64_t maker_of(std::string_view name) {
  constexpr std::string_view kEnd = ".tmp";
  if (!name.starts_with('.') || !name.ends_with(kEnd)) return 0;
  name.remove_suffix(kEnd.size());
  std::int64_t values[2] = {};  // n, pid
  for (std::int64_t& value : values) {
    const auto dot = name.rfind('.');
    if (dot == std::string_view::npos || dot == 0) return 0;
    const std::string_view word = name.substr(dot + 1);
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
    if (error != std::errc() || end != word.data() + word.size()) return 0;
    name = name.substr(0, dot);
  }
  return values[1];
}

std::int64_t disk_use_at(int folder, const std::string& name) {
  struct stat about{};
  if (::fstatat(folder, name.c_str(), &about, AT_SYMLINK_NOFOLLOW) != 0) return 0;
  std::int64_t bytes = std::int64_t{about.st_blocks} * kBlock;
  if (!S_ISDIR(about.st_mode)) return bytes;
  auto inside = open_folder_at(folder, name, name);
  if (!inside) return bytes;
  for (const auto& entry : read_folder(inside->get(), name).value_or(std::vector<FolderEntry>()))
    bytes += disk_use_at(inside->get(), entry.name);
  return bytes;
}

bool is_ours(std::string_view name) {
  if (maker_of(name) > 0) return true;
  if (name.starts_with(kHiddenPrefix)) name.remove_prefix(std::string_view(kHiddenPrefix).size());
  constexpr std::array<std::string_view, 12> kOurs = {kOutputFile,    kRunnerLock,   kLeftoverLock, kInputLock,
                                                      kControlSocket, kNextRecord,   kQuestionFile, kHooksLog,
                                                      kAgentFile,     kActivityFile, kFarFile,      kStartFile};
  return std::ranges::find(kOurs, name) != kOurs.end() || name.starts_with(kTailPrefix) ||
         name.starts_with(kDraftPrefix);
}

// Is this a folder without a record, a held lock, or a recent file?
bool is_abandoned(const Session& session, int tasks, const TaskId& id) {
  const auto record = find_record(session, id);
  if (!record || *record) return false;
  // A task that was sent to another host and has no record yet.
  if (struct stat entry{}; ::lstat((session.path() + "/" + kFarDir + "/" + id.str()).c_str(), &entry) == 0)
    return false;
  if (is_runner_alive(session, id).value_or(true) || has_leftovers(session, id).value_or(true)) return false;
  struct stat about{};
  if (::fstatat(tasks, id.str().c_str(), &about, AT_SYMLINK_NOFOLLOW) != 0 || !is_old(about)) return false;
  auto folder = open_folder_at(tasks, id.str(), session.folder_path(id));
  if (!folder) return false;
  auto entries = read_folder(folder->get(), session.folder_path(id));
  if (!entries) return false;
  return std::ranges::all_of(*entries, [&](const FolderEntry& entry) {
    return is_ours(entry.name) && ::fstatat(folder->get(), entry.name.c_str(), &about, AT_SYMLINK_NOFOLLOW) == 0 &&
           is_old(about);
  });
}

// Locks the key if no process holds it and its task is gone.
Result<Fd> lock_unused_key(const Session& session, const std::string& path) {
  auto file = open_at(AT_FDCWD, path, O_RDWR, path);
  if (!file) return file;
  TRY(auto taken, try_lock(file->get(), path));
  if (!taken) return Fd();
  char text[80] = {};
  const ssize_t n = ::pread(file->get(), text, sizeof text - 1, 0);
  const std::string_view known(text, n > 0 ? static_cast<std::size_t>(n) : 0);
  if (const auto id = TaskId::parse(known.substr(0, known.find('\n')))) {
    // A folder without a record: a launch whose manager was killed may still be in progress.
    const auto record = find_record(session, *id);
    if (!record || *record || session.open_folder(*id)) return Fd();
  }
  return file;
}

// An outbox entry without a record: the record was removed, since an entry is made only while there is one.
bool is_orphaned_entry(const Session& session, const TaskId& id) {
  const auto record = find_record(session, id);
  struct stat about{};
  return record && !*record && ::lstat((outbox_path(session) + "/" + id.str()).c_str(), &about) == 0 && is_old(about);
}

void find_temporaries(const std::string& where, std::vector<Litter>& found) {
  auto folder = open_folder_at(AT_FDCWD, where, where);
  if (!folder) return;
  static_cast<void>(visit_folder(folder->get(), where, [&](std::string_view seen, unsigned char) {
    const std::int64_t pid = maker_of(seen);
    if (pid <= 0) return;
    const std::string name(seen);
    struct stat about{};
    if (::fstatat(folder->get(), name.c_str(), &about, AT_SYMLINK_NOFOLLOW) != 0) return;
    if (!is_old(about) || look_at_process(pid)) return;
    found.push_back({Litter::What::temporary, where + "/" + name, disk_use_at(folder->get(), name)});
  }));
}

Result<> sync_folder(const Fd& folder, const std::string& path) {
  if (::fsync(folder.get()) != 0) return fail_errno("syncing the folder", path);
  return {};
}

}  // namespace

std::int64_t disk_use(const std::string& path) {
  return disk_use_at(AT_FDCWD, path);
}

Result<std::vector<Litter>> find_litter(const Session& session) {
  std::vector<Litter> found;
  auto folders = session.record_folders();
  if (!folders) return std::unexpected(folders.error());
  for (const auto& path : *folders) find_temporaries(path, found);
  find_temporaries(session.path() + "/" + kQueueDir, found);
  find_temporaries(outbox_path(session), found);

  if (auto tasks = session.open_tasks()) {
    // A folder beside a record is none: of most only the two names are looked at, which are kept as numbers.
    constexpr std::string_view kSuffix = ".json";
    constexpr std::hash<std::string_view> kHash;
    std::vector<std::size_t> records;
    auto visited = visit_folder(tasks->get(), session.tasks_path(), [&](std::string_view name, unsigned char) {
      if (name.ends_with(kSuffix)) records.push_back(kHash(name.substr(0, name.size() - kSuffix.size())));
    });
    std::ranges::sort(records);
    std::vector<TaskId> alone;
    if (visited)
      visited = visit_folder(tasks->get(), session.tasks_path(), [&](std::string_view name, unsigned char type) {
        if (type != DT_DIR || !TaskId::names_record(name) || std::ranges::binary_search(records, kHash(name))) return;
        alone.push_back(*TaskId::parse(name));
      });
    if (!visited) return std::unexpected(visited.error());
    for (const auto& id : alone)
      if (is_abandoned(session, tasks->get(), id))
        found.push_back({Litter::What::folder, session.folder_path(id), disk_use_at(tasks->get(), id.str())});
  }

  auto endings = outbox_entries(session);
  if (!endings) return std::unexpected(endings.error());
  for (const auto& id : *endings)
    if (is_orphaned_entry(session, id))
      found.push_back({Litter::What::entry, outbox_path(session) + "/" + id.str(), 0});

  for (const char* const dir : {kKeysDir, kNamesDir}) {
    const std::string keys = session.path() + "/" + dir;
    auto folder = open_folder_at(AT_FDCWD, keys, keys);
    if (!folder) continue;
    for (const auto& entry : read_folder(folder->get(), keys).value_or(std::vector<FolderEntry>())) {
      const std::string path = keys + "/" + entry.name;
      const auto unused = entry.type == DT_REG ? lock_unused_key(session, path) : Result<Fd>(Fd());
      if (unused && *unused) found.push_back({Litter::What::key, path, disk_use(path)});
    }
  }
  std::ranges::sort(found, {}, &Litter::path);
  return found;
}

Result<bool> sweep(const Session& session, const Litter& litter) {
  if (litter.what == Litter::What::key) {
    auto unused = lock_unused_key(session, litter.path);
    if (!unused && unused.error().os_error == ENOENT) return false;
    if (!unused) return std::unexpected(unused.error());
    // Unlinked while locked: a process that opened it before sees that it has no name and makes a new one.
    return *unused && ::unlink(litter.path.c_str()) == 0;
  }
  if (litter.what == Litter::What::temporary) {
    TRY_VOID(remove_tree_at(AT_FDCWD, litter.path, litter.path));
    return true;
  }
  const auto id = TaskId::parse(litter.path.substr(litter.path.rfind('/') + 1));
  if (litter.what == Litter::What::entry) {
    if (!id || !is_orphaned_entry(session, *id)) return false;
    TRY_VOID(remove_from_outbox(session, *id));
    return true;
  }
  TRY(auto tasks, session.open_tasks());
  if (!id || !is_abandoned(session, tasks.get(), *id)) return false;
  // Taking the lock keeps out a runner that starts right now; then the record is looked for again.
  TRY(auto lock, RunnerLock::take(session, *id));
  if (!lock) return false;
  const auto record = find_record(session, *id);
  if (!record || *record) return false;
  TRY_VOID(remove_tree_at(tasks.get(), id->str(), litter.path));
  return true;
}

Result<bool> claim_daily_sweep(const Session& session) {
  constexpr std::int64_t kDayMs = 86'400'000;
  const std::string path = session.path() + "/" + kSweptFile;
  struct stat about{};
  if (::lstat(path.c_str(), &about) == 0) {
    // A clock that was set back must not put the sweep off for years.
    const std::int64_t age = now_ms() - changed_ms(about);
    if (age >= 0 && age < kDayMs) return false;
  }
  auto root = session.open_root();
  if (!root && is_absence(root.error().os_error)) return false;
  if (!root) return std::unexpected(root.error());
  auto file = open_at(root->get(), kSweptFile, O_RDWR | O_CREAT, path);
  if (!file) return std::unexpected(file.error());
  TRY(auto taken, try_lock(file->get(), path));
  struct stat now{};
  if (!taken || ::fstat(file->get(), &now) != 0) return false;
  const std::int64_t age = now_ms() - changed_ms(now);
  // Another process was quicker, or the file is new.
  if (age >= 0 && age < kDayMs) return false;
  if (::futimens(file->get(), nullptr) != 0) return fail_errno("noting the sweep in", path);
  return true;
}

namespace {

// Copies by other programs go too: otherwise a copy would become the task's record (L54).
Result<> remove_copies(const Session& session, const Task& task) {
  if (task.found.source != session.record_path(task.id)) return {};
  auto folders = session.record_folders();
  if (!folders) return std::unexpected(folders.error());
  for (const auto& path : *folders) {
    if (path == session.tasks_path()) continue;
    auto folder = open_folder_at(AT_FDCWD, path, path);
    if (!folder && is_absence(folder.error().os_error)) continue;
    if (!folder) return std::unexpected(folder.error());
    const std::string name = task.id.str() + ".json";
    if (::unlinkat(folder->get(), name.c_str(), 0) == 0) {
      // If a power cut brought the copy back, it would be the task's record (D38).
      if (auto synced = sync_folder(*folder, path); !synced) return synced;
    } else if (errno != ENOENT) {
      return fail_errno("removing", path + "/" + name);
    }
  }
  return {};
}

}  // namespace

Result<> remove_task(const Session& session, const Task& task) {
  const std::string where = output_folder(session, task);
  const auto parent = where.substr(0, where.rfind('/'));
  auto folder = open_folder_at(AT_FDCWD, parent, parent);
  if (!folder) return std::unexpected(folder.error());
  std::string name = where.substr(where.rfind('/') + 1);
  if (auto removed = remove_copies(session, task); !removed) return removed;
  if (task.found.shape == Shape::kimi_cli) {
    // The record is in the folder: renaming the folder turns it into a dead process's temporary at once.
    const std::string hidden = fmt::format(".{}.{}.{}.tmp", name, ::getpid(), now_ms());
    if (::renameat(folder->get(), name.c_str(), folder->get(), hidden.c_str()) != 0)
      return fail_errno("removing", where);
    name = hidden;
  } else if (::unlink(task.found.source.c_str()) != 0 && errno != ENOENT) {
    return fail_errno("removing", task.found.source);
  }
  if (auto synced = sync_folder(*folder, parent); !synced) return synced;
  // An entry left without a record after a crash is ignored and counts as stale.
  if (auto removed = remove_from_outbox(session, task.id); !removed) return removed;
  remove_from_active(session, task.id);
  return remove_tree_at(folder->get(), name, where);
}

}  // namespace perdure::store
