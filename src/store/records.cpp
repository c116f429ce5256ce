#include "store/records.h"

#include "base/error.h"
#include "base/file_lock.h"
#include "base/files.h"
#include "base/try.h"
#include "base/visit_folder.h"
#include "codec/record.h"
#include "contract/names.h"
#include "store/active.h"
#include "store/name_list.h"
#include "store/precedence.h"
#include "store/queue.h"
#include "store/stream.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <dirent.h>
#include <functional>
#include <iterator>
#include <thread>
#include <unordered_set>

namespace perdure::store {
namespace {

constexpr std::string_view kSuffix = ".json";

std::string_view stem_of(std::string_view name) {
  return name.ends_with(kSuffix) ? name.substr(0, name.size() - kSuffix.size()) : std::string_view();
}

// A record's bytes in as few system calls as can be: one read that does not fill the buffer has read it all. Whatever
// is not as simple as that gives an empty view and is looked at closely.
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

// Absent: the folder holds no task of the oldest shape.
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

constexpr std::size_t kWorthAThread = 2000;
constexpr std::size_t kNamesForAThread = 4000;  // at once

std::size_t cores() {
  // Asked once: the answer is read from a file each time.
  static const std::size_t count = std::clamp<std::size_t>(std::thread::hardware_concurrency(), 1, kMostWorkers);
  return count;
}

class Scanner {
 public:
  Scanner(const Session& session, std::vector<Scan>& found, const ScanOptions& options, const Stream* stream = nullptr)
      : session_(session),
        found_(found),
        options_(options),
        stream_(stream),
        own_(session.tasks_path()),
        precedence_(session) {}

  // From here on, names in the session's own folder that are known to have ended are not looked at.
  void believe(const std::vector<TaskId>& active) {
    ended_.emplace(session_);
    for (const auto& id : active) active_.insert(id.str());
  }

  // Only these, which may be live.
  Result<> scan_active(const std::vector<TaskId>& active) {
    auto folder = open_folder_at(AT_FDCWD, own_, own_);
    if (!folder && is_absence(folder.error().os_error)) return {};
    if (!folder) return std::unexpected(folder.error());
    std::unordered_set<std::string> queued;
    auto queue = list_queue(session_);
    if (!queue) return std::unexpected(queue.error());
    // A runner killed between its record and the removal of its entry was one of the first; those behind still wait.
    constexpr std::size_t kFirst = 8;
    for (std::size_t i = kFirst; i < queue->size(); ++i) queued.insert((*queue)[i].id.str());
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
        add(0, std::move(task), nullptr, file, into);
      }
    }
    return {};
  }

  // The folders in the order of Session::record_folders(): `<session>/tasks` comes last. Names are read some thousand at a
  // time, each of which is dealt with before the next: what this takes does not grow with the folder, but for 16 bytes a name.
  Result<> scan(const std::string& path) {
    auto folder = open_folder_at(AT_FDCWD, path, path);
    if (!folder) return std::unexpected(folder.error());
    constexpr std::hash<std::string_view> kHash;
    std::vector<std::size_t> records;
    std::vector<std::size_t> folders;
    Names names;
    auto visited = visit_folder(folder->get(), path, [&](std::string_view name, unsigned char type) {
      if (type == DT_DIR && !has_ended(path, name)) folders.push_back(kHash(name));
      const auto stem = stem_of(name);
      if (!may_be_record(path, stem)) return;
      records.push_back(kHash(stem));
      names.add(name);
      if (names.size() < kNamesForAThread * cores()) return;
      read_all(folder->get(), path, names);
      names.clear();
    });
    if (!visited) return visited;
    read_all(folder->get(), path, names);
    // A folder beside its record belongs to that record; only one without may be a task of the oldest shape.
    std::ranges::sort(records);
    const auto has_record = [&](std::size_t hash) { return std::ranges::binary_search(records, hash); };
    std::vector<std::string> alone;
    if (!std::ranges::all_of(folders, has_record)) {
      visited = visit_folder(folder->get(), path, [&](std::string_view name, unsigned char type) {
        if (type == DT_DIR && !has_ended(path, name) && !has_record(kHash(name))) alone.emplace_back(name);
      });
      if (!visited) return visited;
    }
    for (const auto& name : alone) {
      if (is_taken(name) || !TaskId::parse(name)) continue;
      const std::string inside = path + "/" + name;
      Scan& into = found_.emplace_back();
      auto task = read_kimi_cli(folder->get(), name, inside);
      if (!task) {
        into.bad.push_back(as_bad(inside + "/spec.json", task.error()));
      } else if (*task) {
        add(0, std::move(**task), nullptr, inside, into);
      } else if (TaskId::names_record(name)) {
        into.recordless.push_back(*TaskId::parse(name));
      }
    }
    return {};
  }

 private:
  [[nodiscard]] bool has_ended(const std::string& path, std::string_view id) const {
    return ended_ && path == own_ && ended_->contains(id) && !active_.contains(std::string(id));
  }

  [[nodiscard]] bool is_taken(std::string_view stem) const {
    return !taken_.empty() && taken_.contains(std::string(stem));
  }

  bool may_be_record(const std::string& path, std::string_view stem) {
    if (has_ended(path, stem)) return false;
    if (!TaskId::names_record(stem)) return false;  // not a record's name: no record (docs/internals/disk-format.md)
    if (path == own_) return true;
    if (precedence_.is_ours(*TaskId::parse(stem))) return false;  // a copy
    here_.emplace(stem);
    return true;
  }

  // Reading is all system calls and decoding all computing, so a second core is worth having for large sessions.
  void read_all(int folder, const std::string& path, const Names& names) {
    const std::size_t workers = std::clamp<std::size_t>(names.size() / kWorthAThread, 1, cores());
    if (workers == 1) {
      read_part(0, folder, path, names, 0, names.size(), found_.emplace_back());
    } else {
      std::vector<Scan> parts(workers);
      {
        std::vector<std::jthread> threads;
        threads.reserve(workers);
        const std::size_t share = names.size() / workers + 1;
        for (std::size_t i = 0; i < workers; ++i)
          threads.emplace_back([&, i] {
            const std::size_t from = std::min(i * share, names.size());
            read_part(i, folder, path, names, from, std::min(from + share, names.size()), parts[i]);
          });
      }
      std::ranges::move(parts, std::back_inserter(found_));
    }
    if (path != own_) taken_.merge(here_);
    here_.clear();
  }

  void read_part(std::size_t worker, int folder, const std::string& path, const Names& names, std::size_t from,
                 std::size_t to, Scan& into) const {
    std::string buffer;
    std::string name;
    std::string file = path + "/";
    const bool may_be_known = stream_ != nullptr && stream_->is_known && path == own_;
    if (options_.terminal && !options_.take && stream_ == nullptr) into.tasks.reserve(into.tasks.size() + to - from);
    for (std::size_t i = from; i < to; ++i) {
      name = names.at(i);
      struct stat about{};
      bool is_stated = false;
      if (may_be_known && !is_taken(stem_of(name))) {
        is_stated = ::fstatat(folder, name.c_str(), &about, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(about.st_mode);
        if (is_stated && stream_->is_known(worker, stem_of(name), about)) continue;
      }
      file.resize(path.size() + 1);
      file += name;
      auto task = read_record(folder, name, file, buffer);
      // Another folder's record of that id wins; an error in this one is reported all the same.
      if (!task || !is_taken(stem_of(name))) add(worker, std::move(task), is_stated ? &about : nullptr, file, into);
    }
  }

  void add(std::size_t worker, Result<Task> task, const struct stat* about, const std::string& path, Scan& into) const {
    if (!task) {
      if (task.error().os_error != ENOENT) into.bad.push_back(as_bad(path, task.error()));
    } else if (options_.terminal || !is_terminal(task->status) ||
               (options_.leftovers && task->process.leftovers.value_or(0) > 0)) {
      if (stream_ != nullptr) return stream_->take(worker, std::move(*task), about);
      if (options_.take) return options_.take(std::move(*task));
      into.tasks.push_back(std::move(*task));
    }
  }

  const Session& session_;
  std::vector<Scan>& found_;
  const ScanOptions& options_;
  const Stream* const stream_;
  const std::string own_;
  Precedence precedence_;
  std::optional<EndedIds> ended_;
  std::unordered_set<std::string> active_;
  std::unordered_set<std::string> here_;   // ids of this folder, while it is another than the session's own
  std::unordered_set<std::string> taken_;  // ids of the folders before, which win
};

}  // namespace

Result<std::optional<Task>> find_record(const Session& session, const TaskId& id) {
  auto folders = session.record_folders();
  if (!folders) return std::unexpected(folders.error());
  std::string buffer;
  const bool has_others = folders->size() > 1 || (folders->size() == 1 && folders->front() != session.tasks_path());
  const bool is_ours = has_others && id.has_record_form() && Precedence(session).is_ours(id);
  for (const auto& path : *folders) {
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
    auto tasks = open_folder_at(AT_FDCWD, folder_path.substr(0, parent), folder_path);
    if (!tasks) return std::unexpected(tasks.error());
    TRY(auto again, read_kimi_cli(tasks->get(), folder_path.substr(parent + 1), folder_path));
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
  auto folders = session.record_folders();
  if (!folders) return std::unexpected(folders.error());
  for (const auto& path : *folders) TRY_VOID(scanner.scan(path));
  return found;
}

Result<std::vector<Scan>> stream_records(const Session& session, const Stream& stream) {
  std::vector<Scan> found;
  const ScanOptions options;
  Scanner scanner(session, found, options, &stream);
  TRY(const auto folders, session.record_folders());
  for (const auto& path : folders) TRY_VOID(scanner.scan(path));
  return found;
}

Result<Scan> scan_records(const Session& session, const ScanOptions& options) {
  auto parts = scan_in_parts(session, options);
  if (!parts) return std::unexpected(parts.error());
  Scan all;
  for (auto& part : *parts) {
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
  // A file that was replaced between opening and locking proves nothing: once more.
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
