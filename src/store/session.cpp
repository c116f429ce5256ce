#include "store/session.h"

#include "base/error.h"
#include "base/files.h"
#include "contract/names.h"
#include "contract/seq.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <climits>
#include <dirent.h>
#include <filesystem>

namespace perdure::store {

namespace fs = std::filesystem;
using namespace contract;

namespace {

// As the kernel resolved it: three calls, however deep the folder lies. "" where it is not there, or /proc does not say.
std::string path_of_folder(const std::string& path) {
  const Fd folder(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  char buffer[PATH_MAX];
  const ssize_t n =
      folder ? ::readlink(fmt::format("/proc/self/fd/{}", folder.get()).c_str(), buffer, sizeof buffer) : 0;
  std::string found(buffer, n > 0 && n < static_cast<ssize_t>(sizeof buffer) ? static_cast<std::size_t>(n) : 0);
  const bool is_path = found.starts_with('/') && !found.ends_with(" (deleted)");
  return is_path ? found : std::string();
}

}  // namespace

Session::Session(const std::string& path) {
  path_ = path_of_folder(path.empty() ? "." : path);
  if (!path_.empty()) return;
  std::error_code ignored;
  fs::path absolute = fs::absolute(path.empty() ? "." : path, ignored);
  fs::path resolved = fs::weakly_canonical(absolute, ignored);
  path_ = (resolved.empty() ? absolute : resolved).lexically_normal().string();
  while (path_.size() > 1 && path_.back() == '/') path_.pop_back();
}

Session Session::unseen(std::string path) {
  Session session;
  session.path_ = std::move(path);
  while (session.path_.size() > 1 && session.path_.back() == '/') session.path_.pop_back();
  return session;
}

std::string Session::config_path() const {
  return path_ + "/" + kConfigFile;
}

bool Session::may_have_config(const std::string& session) {
  return ::access(((session.empty() ? "." : session) + "/" + kConfigFile).c_str(), F_OK) == 0 || errno != ENOENT;
}

std::string Session::tasks_path() const {
  return path_ + "/" + kTasksDir;
}

std::string Session::record_path(const TaskId& id) const {
  return tasks_path() + "/" + id.str() + ".json";
}

std::string Session::folder_path(const TaskId& id) const {
  return tasks_path() + "/" + id.str();
}

std::string Session::marker(const TaskId& id) const {
  return id.str() + "@" + path_;
}

bool Session::exists() const {
  struct stat about{};
  return ::stat(path_.c_str(), &about) == 0 && S_ISDIR(about.st_mode);
}

namespace {

// A file server may give root's files to another user (root_squash), and a mount may set an owner. A session made there
// would fail the ownership check for ever (L49).
Result<> check_new_folder(const std::string& path) {
  struct stat about{};
  if (::lstat(path.c_str(), &about) != 0) return fail_errno("looking at", path);
  if (about.st_uid == ::geteuid()) return {};
  return fail(ErrorCode::session_unusable,
              fmt::format("this session can't be made: the file system of {} gives new folders to uid {} instead of "
                          "uid {} (root_squash, or an option of the mount): choose another session with --session or "
                          "PERDURE_SESSION",
                          path, about.st_uid, ::geteuid()));
}

}  // namespace

Result<> Session::create() const {
  struct stat about{};
  const bool is_new = ::lstat(tasks_path().c_str(), &about) != 0;
  if (is_new)
    if (auto made = make_folders(path_); !made) {
      made.error().message += ": choose another session with --session or PERDURE_SESSION";
      return made;
    }
  // Both now: on a disk that is full later an ending still finds room for its name, but not for a folder.
  const std::string outbox = path_ + "/" + kOutboxDir;
  if (auto made = make_folder_at(AT_FDCWD, outbox, outbox); !made) return made;
  if (is_new) {
    if (auto made = make_folder_at(AT_FDCWD, tasks_path(), tasks_path()); !made) return made;
    auto fine = check_new_folder(tasks_path());
    if (fine) fine = check_new_folder(path_);
    // rmdir removes empty folders only.
    if (!fine)
      for (const auto& path : {tasks_path(), outbox, path_}) ::rmdir(path.c_str());
    if (!fine) return fine;
  }
  // The process that made these folders may have been killed before their names were durable (D02). A task comes into
  // tasks/ only behind this line, so what is in it proves that the names are durable.
  const bool has_folders =
      !is_new && S_ISDIR(about.st_mode) && about.st_nlink > 2;  // where folders are counted as links
  if (has_folders) return {};
  std::error_code unknown;
  return fs::is_empty(tasks_path(), unknown) || unknown ? sync_folder_and_parents(path_) : Result<>();
}

Result<Fd> Session::open_root() const {
  Fd fd(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd) return fail_errno("opening the session", path_);
  return fd;
}

Result<Fd> Session::open_tasks() const {
  return open_folder_at(AT_FDCWD, tasks_path(), tasks_path());
}

Result<Fd> Session::open_queue() const {
  const std::string queue = path_ + "/" + kQueueDir;
  return open_folder_at(AT_FDCWD, queue, queue);
}

Result<Fd> Session::open_folder(const TaskId& id) const {
  auto tasks = open_tasks();
  if (!tasks) return tasks;
  return open_folder_at(tasks->get(), id.str(), folder_path(id));
}

Result<std::vector<std::string>> Session::record_folders() const {
  std::vector<std::string> folders;
  const std::string agents = path_ + "/" + kAgentsDir;
  auto dir = open_folder_at(AT_FDCWD, agents, agents);
  if (!dir && !is_absence(dir.error().os_error)) return std::unexpected(dir.error());
  if (dir) {
    auto entries = read_folder(dir->get(), agents);
    if (!entries) return std::unexpected(entries.error());
    for (const auto& entry : *entries) {
      if (entry.type != DT_DIR) continue;
      std::string path = agents + "/" + entry.name + "/" + kTasksDir;
      auto tasks = open_folder_at(AT_FDCWD, path, path);
      if (!tasks && !is_absence(tasks.error().os_error)) return std::unexpected(tasks.error());
      if (tasks) folders.push_back(std::move(path));
    }
    std::ranges::sort(folders);
  }
  if (auto own = open_tasks()) {
    folders.push_back(tasks_path());
  } else if (own.error().os_error != ENOENT) {
    return std::unexpected(own.error());
  }
  return folders;
}

Result<bool> Session::claim(const TaskId& id) const {
  const std::string folder = folder_path(id);
  if (::mkdir(folder.c_str(), 0700) != 0) {
    if (errno == EEXIST) return false;
    return fail_errno("making the folder", folder);
  }
  // Other programs make no folder: their record alone takes the id.
  struct stat about{};
  if (::lstat(record_path(id).c_str(), &about) == 0) {
    ::rmdir(folder.c_str());
    return false;
  }
  return true;
}

// The runner uses the same counter (runner/record/record.cpp). It is in shared memory, changed by an atomic exchange: a
// stopped process could hold a lock for ever.
std::int64_t Session::next_seq() const {
  using namespace std::chrono;
  const std::string path = path_ + "/" + kSeqFile;
  const Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  return next_in_sequence(file.get(), duration_cast<microseconds>(system_clock::now().time_since_epoch()).count());
}

}  // namespace perdure::store
