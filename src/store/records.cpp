#include "store/records.h"

#include "base/error.h"
#include "base/file_lock.h"
#include "base/files.h"
#include "base/try.h"
#include "codec/record.h"
#include "contract/names.h"
#include "store/active.h"
#include "store/precedence.h"
#include "store/queue.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <dirent.h>
#include <iterator>
#include <span>
#include <thread>
#include <unordered_set>

namespace perdure::store {
namespace {

constexpr std::string_view kSuffix = ".json";

std::string_view stem_of(std::string_view name) {
  return name.ends_with(kSuffix) ? name.substr(0, name.size() - kSuffix.size()) : std::string_view();
}

// Reads a record in as few system calls as possible: a read that does not fill the buffer has read all of it. In any
// other case the view is empty, and the caller uses the slower function.
std::string_view read_quickly(int folder, const std::string& name, std::string& buffer) {
  constexpr std::size_t kOrdinary = 16384;
  buffer.resize(kOrdinary);
  const Fd file(::openat(folder, name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  const ssize_t n = file ? ::read(file.get(), buffer.data(), buffer.size()) : -1;
  if (n <= 0 || n == static_cast<ssize_t>(buffer.size())) return {};
  return {buffer.data(), static_cast<std::size_t>(n)};
}

Result<Task> read_record(int folder, const std::string& name, const std::string& path, std::string& buffer) {
  std::string_view bytes = read_quickly(folder, name, buffer);
  if (bytes.empty()) {
    TRY(auto read, read_regular_file(folder, name, codec::kMaxRecordBytes, path));
    buffer = std::move(read);
    bytes = buffer;
  }
  auto task = codec::decode(bytes, stem_of(name));
  if (!task) {
    task.error().message = path + ": " + task.error().message;
    return task;
  }
  task->found.source = path;
  return task;
}

// Absent: the folder does not hold a task of the oldest format.
Result<std::optional<Task>> read_kimi_cli(int tasks, const std::string& name, const std::string& path) {
  auto folder = open_folder_at(tasks, name, path);
  if (!folder && is_absence(folder.error().os_error)) return std::nullopt;
  if (!folder) return std::unexpected(folder.error());
  auto spec = read_regular_file(folder->get(), "spec.json", codec::kMaxRecordBytes, path + "/spec.json");
  if (!spec && spec.error().os_error == ENOENT) return std::nullopt;
  if (!spec) return std::unexpected(spec.error());
  const auto runtime = read_regular_file(folder->get(), "runtime.json", codec::kMaxRecordBytes, path + "/runtime.json");
  auto task = codec::decode_kimi_cli(
      {.spec = *spec, .runtime = runtime ? std::optional<std::string_view>(*runtime) : std::nullopt}, name);
  if (!task) {
    task.error().message = path + "/spec.json: " + task.error().message;
    return std::unexpected(task.error());
  }
  task->found.source = path + "/spec.json";
  return std::optional<Task>(std::move(*task));
}

BadRecord as_bad(const std::string& path, const Error& error) {
  const bool named = error.message.starts_with(path + ": ");
  return {path, named ? error.message.substr(path.size() + 2) : error.message};
}

class Scanner {
 public:
  Scanner(const Session& session, std::vector<Scan>& found, const ScanOptions& options)
      : session_(session), found_(found), options_(options), own_(session.tasks_path()), precedence_(session) {}

  // From here on, records in the session's own folder that are known to be terminal are skipped.
  void believe(const std::vector<TaskId>& active) {
    ended_.emplace(session_);
    for (const auto& id : active) active_.insert(id.str());
  }

  // Opens only these records.
  Result<> scan_active(const std::vector<TaskId>& active) {
    auto folder = open_folder_at(AT_FDCWD, own_, own_);
    if (!folder && is_absence(folder.error().os_error)) return {};
    if (!folder) return std::unexpected(folder.error());
    std::unordered_set<std::string> queued;
    TRY(auto queue, list_queue(session_));
    // A runner killed between writing its record and removing its entry had one of the first places; those behind still
    // wait.
    constexpr std::size_t kFirst = 8;
    for (std::size_t i = kFirst; i < queue.size(); ++i) queued.insert(queue[i].id.str());
    Scan& into = found_.emplace_back();
    std::string buffer;
    for (const auto& id : active) {
      if (queued.contains(id.str())) continue;
      const std::string file = session_.record_path(id);
      auto task = read_record(folder->get(), id.str() + ".json", file, buffer);
      const bool is_live = task && !is_terminal(task->status);
      if (!is_live) into.looked_at.push_back(id);
      if (!task && task.error().os_error == ENOENT) {
        into.recordless.push_back(id);
      } else {
        add(std::move(task), file, into);
      }
    }
    return {};
  }

  // Scans the folders in the order of Session::record_folders(): `<session>/tasks` comes last.
  Result<> scan(const std::string& path) {
    TRY(auto folder, open_folder_at(AT_FDCWD, path, path));
    TRY(auto entries, read_folder(folder.get(), path));
    std::unordered_set<std::string_view> here;
    std::vector<const FolderEntry*> folders;
    std::vector<const FolderEntry*> records;
    for (const auto& entry : entries) {
      if (entry.type == DT_DIR && !has_ended(path, entry.name)) folders.push_back(&entry);
      const auto stem = stem_of(entry.name);
      if (has_ended(path, stem)) continue;
      if (!TaskId::names_record(stem)) continue;  // not a record's name: no record (docs/internals/disk-format.md)
      if (path != own_ && precedence_.is_ours(*TaskId::parse(stem))) continue;  // a copy
      here.insert(stem);
      records.push_back(&entry);
    }
    read_all(folder.get(), path, records);
    // A folder beside a record belongs to that record; only one without a record may be a task of the oldest format.
    for (const auto* entry : folders) {
      if (here.contains(entry->name) || is_taken(entry->name) || !TaskId::parse(entry->name)) continue;
      const std::string inside = path + "/" + entry->name;
      auto task = read_kimi_cli(folder.get(), entry->name, inside);
      if (!task) {
        found_.back().bad.push_back(as_bad(inside + "/spec.json", task.error()));
      } else if (*task) {
        add(std::move(**task), inside, found_.back());
      } else if (TaskId::names_record(entry->name)) {
        found_.back().recordless.push_back(*TaskId::parse(entry->name));
      }
    }
    for (const auto stem : here) taken_.emplace(stem);
    return {};
  }

 private:
  [[nodiscard]] bool has_ended(const std::string& path, std::string_view id) const {
    return ended_ && path == own_ && ended_->contains(id) && !active_.contains(std::string(id));
  }

  [[nodiscard]] bool is_taken(std::string_view stem) const { return taken_.contains(std::string(stem)); }

  // Reading is all system calls and decoding all computing, so a second thread pays off in large sessions.
  void read_all(int folder, const std::string& path, std::span<const FolderEntry* const> records) {
    constexpr std::size_t kWorthAThread = 2000;
    const std::size_t cores = std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, 8);
    const std::size_t workers = std::clamp<std::size_t>(records.size() / kWorthAThread, 1, cores);
    if (workers == 1) return read_part(folder, path, records, found_.emplace_back());
    std::vector<Scan> parts(workers);
    {
      std::vector<std::jthread> threads;
      threads.reserve(workers);
      const std::size_t share = records.size() / workers + 1;
      for (std::size_t i = 0; i < workers; ++i)
        threads.emplace_back([&, i] {
          const std::size_t from = std::min(i * share, records.size());
          read_part(folder, path, records.subspan(from, std::min(share, records.size() - from)), parts[i]);
        });
    }
    std::ranges::move(parts, std::back_inserter(found_));
  }

  void read_part(int folder, const std::string& path, std::span<const FolderEntry* const> records, Scan& into) const {
    std::string buffer;
    if (options_.terminal && !options_.take) into.tasks.reserve(into.tasks.size() + records.size());
    for (const auto* entry : records) {
      const std::string file = path + "/" + entry->name;
      auto task = read_record(folder, entry->name, file, buffer);
      // Another folder's record of that id takes precedence; the problem with this one is reported all the same.
      if (!task || !is_taken(stem_of(entry->name))) add(std::move(task), file, into);
    }
  }

  void add(Result<Task> task, const std::string& path, Scan& into) const {
    if (!task) {
      if (task.error().os_error != ENOENT) into.bad.push_back(as_bad(path, task.error()));
    } else if (options_.terminal || !is_terminal(task->status) ||
               (options_.leftovers && task->process.leftovers.value_or(0) > 0)) {
      if (options_.take) return options_.take(std::move(*task));
      into.tasks.push_back(std::move(*task));
    }
  }

  const Session& session_;
  std::vector<Scan>& found_;
  const ScanOptions& options_;
  const std::string own_;
  Precedence precedence_;
  std::optional<EndedIds> ended_;
  std::unordered_set<std::string> active_;
  std::unordered_set<std::string> taken_;  // ids in the earlier folders, which take precedence
};

}  // namespace

Result<std::optional<Task>> find_record(const Session& session, const TaskId& id) {
  TRY(auto folders, session.record_folders());
  std::string buffer;
  const bool has_others = folders.size() > 1 || (folders.size() == 1 && folders.front() != session.tasks_path());
  const bool is_ours = has_others && id.has_record_form() && Precedence(session).is_ours(id);
  for (const auto& path : folders) {
    if (is_ours && path != session.tasks_path()) continue;
    auto folder = open_folder_at(AT_FDCWD, path, path);
    if (!folder && is_absence(folder.error().os_error)) continue;
    if (!folder) return std::unexpected(folder.error());
    if (id.has_record_form()) {
      const std::string name = id.str() + ".json";
      auto task = read_record(folder->get(), name, path + "/" + name, buffer);
      if (task) return std::optional<Task>(std::move(*task));
      if (task.error().os_error != ENOENT) return std::unexpected(task.error());
    }
    auto old = read_kimi_cli(folder->get(), id.str(), path + "/" + id.str());
    if (!old || *old) return old;
  }
  return std::nullopt;
}

Result<Task> reread(const Task& task) {
  const auto slash = task.found.source.rfind('/');
  const std::string folder_path = task.found.source.substr(0, slash);
  const std::string name = task.found.source.substr(slash + 1);
  if (task.found.shape == Shape::kimi_cli) {
    const auto parent = folder_path.rfind('/');
    TRY(auto tasks, open_folder_at(AT_FDCWD, folder_path.substr(0, parent), folder_path));
    TRY(auto again, read_kimi_cli(tasks.get(), folder_path.substr(parent + 1), folder_path));
    if (again) return std::move(*again);
    return fail(ErrorCode::task_not_found, task.found.source + ": is gone");
  }
  TRY(auto folder, open_folder_at(AT_FDCWD, folder_path, folder_path));
  std::string buffer;
  return read_record(folder.get(), name, task.found.source, buffer);
}

Result<std::vector<Scan>> scan_in_parts(const Session& session, const ScanOptions& options) {
  std::vector<Scan> found;
  Scanner scanner(session, found, options);
  if (!options.terminal && is_active_complete(session)) {
    TRY(auto active, active_entries(session));
    if (options.own_only) {
      TRY_VOID(scanner.scan_active(active));
      return found;
    }
    scanner.believe(active);
  }
  TRY(auto folders, session.record_folders());
  for (const auto& path : folders) TRY_VOID(scanner.scan(path));
  return found;
}

Result<Scan> scan_records(const Session& session, const ScanOptions& options) {
  TRY(auto parts, scan_in_parts(session, options));
  Scan all;
  for (auto& part : parts) {
    std::ranges::move(part.tasks, std::back_inserter(all.tasks));
    std::ranges::move(part.bad, std::back_inserter(all.bad));
    std::ranges::move(part.recordless, std::back_inserter(all.recordless));
    std::ranges::move(part.looked_at, std::back_inserter(all.looked_at));
  }
  return all;
}

Result<> write_record(const Task& task) {
  std::string folder_path = task.found.source.substr(0, task.found.source.rfind('/'));
  if (task.found.shape == Shape::kimi_cli) folder_path = folder_path.substr(0, folder_path.rfind('/'));
  TRY(auto folder, open_folder_at(AT_FDCWD, folder_path, folder_path));
  const std::string name = task.id.str() + ".json";
  return replace_file(folder.get(), name, codec::encode(task) + "\n", folder_path + "/" + name);
}

Result<Fd> lock_record(const Task& task) {
  // The file was replaced between opening and locking: try again.
  while (true) {
    auto file = open_at(AT_FDCWD, task.found.source, O_RDWR, task.found.source);
    if (!file) return file;
    TRY_VOID(lock(file->get(), task.found.source));
    struct stat held{};
    struct stat named{};
    if (::fstat(file->get(), &held) == 0 && ::lstat(task.found.source.c_str(), &named) == 0 &&
        held.st_ino == named.st_ino)
      return file;
  }
}

bool can_be_written(const Task& task) {
  return task.found.shape != Shape::kimi_cli || task.id.has_record_form();
}

std::int64_t written_at(const Task& task) {
  struct stat about{};
  if (::lstat(task.found.source.c_str(), &about) != 0) return 0;
  return std::int64_t{about.st_mtim.tv_sec} * 1000 + about.st_mtim.tv_nsec / 1'000'000;
}

}  // namespace perdure::store
