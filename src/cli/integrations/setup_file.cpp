#include "cli/integrations/setup_file.h"

#include "base/fd.h"
#include "base/files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <memory>

namespace perdure::cli {
namespace {

constexpr std::size_t kLargest = 64 << 20;  // Claude Code stores its history in the same file

std::string folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::int64_t nanoseconds(const timespec& time) {
  return static_cast<std::int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec;
}

Result<> check_unchanged(const ConfigFile& file) {
  struct stat now{};
  const bool exists = ::stat(file.real.c_str(), &now) == 0;
  if (exists != file.exists ||
      (exists && (static_cast<std::int64_t>(now.st_ino) != file.inode || nanoseconds(now.st_mtim) != file.changed_ns)))
    return fail(ErrorCode::config_invalid,
                fmt::format("{}: another program changed it meanwhile; run this again", file.path));
  return {};
}

Result<> make_missing_folders(const std::string& folder, std::vector<std::string>& made) {
  if (::access(folder.c_str(), F_OK) == 0) return {};
  if (folder.size() > 1)
    if (auto above = make_missing_folders(folder_of(folder), made); !above) return above;
  if (::mkdir(folder.c_str(), 0700) != 0) return fail_errno("making", folder, ErrorCode::config_invalid);
  made.push_back(folder);
  return {};
}

}  // namespace

Result<std::string> absolute_path(std::string path) {
  if (path.starts_with('/')) return path;
  char here[PATH_MAX];
  if (::getcwd(here, sizeof here) == nullptr) return fail_errno("finding", "the working folder");
  return fmt::format("{}/{}", here, path);
}

Result<ConfigFile> read_config_file(const std::string& path) {
  ConfigFile file{.path = path, .real = path, .text = {}};
  struct stat link{};
  struct stat status{};
  if (::lstat(path.c_str(), &link) != 0) {
    if (errno == ENOENT) return file;
    return fail_errno("reading", path, ErrorCode::config_invalid);
  }
  const std::unique_ptr<char, decltype(&std::free)> real(::realpath(path.c_str(), nullptr), &std::free);
  if (real == nullptr || ::stat(path.c_str(), &status) != 0) {
    if (S_ISLNK(link.st_mode) && errno == ENOENT)
      return fail(ErrorCode::config_invalid, fmt::format("{}: is a link to a file that does not exist", path));
    return fail_errno("reading", path, ErrorCode::config_invalid);
  }
  file.real = real.get();
  file.exists = true;
  file.mode = status.st_mode & 07777;
  file.owner = status.st_uid;
  file.group = status.st_gid;
  file.inode = static_cast<std::int64_t>(status.st_ino);
  file.changed_ns = nanoseconds(status.st_mtim);
  auto text = read_regular_file(AT_FDCWD, file.real, kLargest, path);
  if (!text) return fail(ErrorCode::config_invalid, text.error().message);
  file.text = std::move(*text);
  return file;
}

std::optional<std::string> why_not_writable(const ConfigFile& file) {
  if (!file.exists) return std::nullopt;
  if ((file.mode & 0200) == 0 || ::access(file.real.c_str(), W_OK) != 0)
    return fmt::format("{}: is read-only; make it writable first, or add the entry by hand", file.path);
  struct stat status{};
  if (::stat(file.real.c_str(), &status) == 0 && status.st_nlink > 1)
    return fmt::format("{}: has {} hard links, replacing it would separate them; add the entry by hand", file.path,
                       static_cast<unsigned>(status.st_nlink));
  return std::nullopt;
}

Result<> replace_config_file(const ConfigFile& file, std::string_view text, std::vector<std::string>& made_folders) {
  if (auto unchanged = check_unchanged(file); !unchanged) return unchanged;
  const std::string folder = folder_of(file.real);
  if (auto made = make_missing_folders(folder, made_folders); !made) return made;
  const std::string temporary = fmt::format("{}.perdure-{}", file.real, ::getpid());
  {
    const Fd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!fd) return fail_errno("writing", temporary, ErrorCode::config_invalid);
    Result<> done = write_all(fd.get(), text, file.path);
    // Only root can change a file's owner; a new file of the user has the right owner already.
    if (done && file.exists && ::geteuid() == 0 && ::fchown(fd.get(), file.owner, file.group) != 0)
      done = fail_errno("keeping the owner of", file.path, ErrorCode::config_invalid);
    if (done && ::fchmod(fd.get(), file.mode) != 0) done = fail_errno("writing", file.path, ErrorCode::config_invalid);
    // Data before name: renaming first could leave, after a power cut, the name on an empty file.
    if (done && ::fsync(fd.get()) != 0) done = fail_errno("writing", file.path, ErrorCode::config_invalid);
    if (done) done = check_unchanged(file);
    if (done && ::rename(temporary.c_str(), file.real.c_str()) != 0)
      done = fail_errno("replacing", file.path, ErrorCode::config_invalid);
    if (!done) {
      ::unlink(temporary.c_str());
      return done;
    }
  }
  const Fd parent(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (parent) ::fsync(parent.get());
  return {};
}

Result<> remove_config_file(const ConfigFile& file, const std::vector<std::string>& folders) {
  if (auto unchanged = check_unchanged(file); !unchanged) return unchanged;
  if (::unlink(file.real.c_str()) != 0 && errno != ENOENT)
    return fail_errno("removing", file.path, ErrorCode::config_invalid);
  for (auto folder = folders.rbegin(); folder != folders.rend(); ++folder)
    if (::rmdir(folder->c_str()) != 0) break;  // another file was made in it
  return {};
}

}  // namespace perdure::cli
