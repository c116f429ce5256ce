#include "base/files.h"

#include "base/visit_folder.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <dirent.h>
#include <memory>

namespace perdure {
namespace {

std::string_view kind_of_file(mode_t mode) {
  if (S_ISDIR(mode)) return "a folder";
  if (S_ISLNK(mode)) return "a symbolic link";
  if (S_ISFIFO(mode)) return "a FIFO";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

std::string temporary_name(const std::string& name) {
  static std::atomic<unsigned> counter{0};
  return fmt::format(".{}.{}.{}.tmp", name, ::getpid(), counter.fetch_add(1));
}

}  // namespace

Result<Fd> open_at(int folder, const std::string& name, int flags, const std::string& described, mode_t mode) {
  // O_NONBLOCK: opening a FIFO without a writer would block for ever. Regular files ignore the flag.
  Fd fd(::openat(folder, name.c_str(), flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, mode));
  if (!fd) return fail_errno("opening", described);
  return fd;
}

Result<Fd> open_folder_at(int folder, const std::string& name, const std::string& described) {
  return open_at(folder, name, O_RDONLY | O_DIRECTORY, described);
}

Result<std::string> read_regular_file(int folder, const std::string& name, std::size_t limit,
                                      const std::string& described) {
  Fd fd(::openat(folder, name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!fd) {
    if (errno == ELOOP) return fail(ErrorCode::record_invalid, described + ": is a symbolic link, not a file");
    if (errno == ENXIO) return fail(ErrorCode::record_invalid, described + ": is a socket, not a file");
    return fail_errno("opening", described);
  }
  struct stat about{};
  if (::fstat(fd.get(), &about) != 0) return fail_errno("reading", described);
  if (!S_ISREG(about.st_mode))
    return fail(ErrorCode::record_invalid,
                fmt::format("{}: is {}, not a file", described, kind_of_file(about.st_mode)));
  const auto size = static_cast<std::size_t>(about.st_size);
  if (size > limit)
    return fail(ErrorCode::record_invalid, fmt::format("{}: is {} bytes long, more than {}", described, size, limit));
  // One byte more than the size: the same read then also sees the end, unless the file grew meanwhile.
  std::string bytes(size + 1, '\0');
  std::size_t have = 0;
  while (have < bytes.size()) {
    const ssize_t n = ::read(fd.get(), bytes.data() + have, bytes.size() - have);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("reading", described);
    const bool is_less = static_cast<std::size_t>(n) < bytes.size() - have;
    have += static_cast<std::size_t>(n);
    const bool is_end = n == 0 || (is_less && have == size);
    if (is_end) break;
    if (have <= limit) bytes.resize(std::min(2 * have, limit + 1));
  }
  if (have > limit)
    return fail(ErrorCode::record_invalid, fmt::format("{}: is longer than {} bytes", described, limit));
  bytes.resize(have);
  return bytes;
}

std::string read_kernel_file(const std::string& path) {
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  std::string bytes;
  if (!fd) return bytes;
  char part[4096];
  while (true) {
    const ssize_t n = ::read(fd.get(), part, sizeof part);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return bytes;
    bytes.append(part, static_cast<std::size_t>(n));
  }
}

Result<> write_all(int fd, std::string_view bytes, const std::string& described) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(fd, bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno("writing", described);
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

Result<> replace_file(int folder, const std::string& name, std::string_view bytes, const std::string& described) {
  const std::string temporary = temporary_name(name);
  Fd file(::openat(folder, temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return fail_errno("writing", described);
  Result<> done = write_all(file.get(), bytes, described);
  // Data before name: renaming first could leave, after a power cut, the new name on an empty file. The folder
  // comes last for the same reason.
  if (done && ::fsync(file.get()) != 0) done = fail_errno("syncing", described);
  if (done && ::renameat(folder, temporary.c_str(), folder, name.c_str()) != 0)
    done = fail_errno("replacing", described);
  if (!done) {
    ::unlinkat(folder, temporary.c_str(), 0);
    return done;
  }
  if (::fsync(folder) != 0) return fail_errno("syncing the folder of", described);
  return {};
}

Result<> make_folder_at(int folder, const std::string& name, const std::string& described) {
  if (::mkdirat(folder, name.c_str(), 0700) == 0 || errno == EEXIST) return {};
  return fail_errno("making the folder", described);
}

Result<> make_folders(const std::string& path) {
  struct stat about{};
  if (::stat(path.c_str(), &about) == 0) {
    if (S_ISDIR(about.st_mode)) return {};
    return fail(ErrorCode::session_unusable, path + ": is not a folder: choose another session");
  }
  const auto slash = path.find_last_of('/');
  if (slash != std::string::npos && slash > 0)
    if (auto made = make_folders(path.substr(0, slash)); !made) return made;
  return make_folder_at(AT_FDCWD, path, path);
}

Result<> sync_folder_and_parents(const std::string& path) {
  struct stat first{};
  for (std::string at = path; !at.empty(); at = at.substr(0, at.rfind('/'))) {
    const Fd folder(::open(at.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    struct stat about{};
    // It existed before; a folder that this user can't open was not made by this user.
    if (!folder && at != path) return {};
    if (!folder || ::fstat(folder.get(), &about) != 0) return fail_errno("opening", at);
    if (at == path) first = about;
    if (about.st_dev != first.st_dev) return {};
    if (::fsync(folder.get()) != 0) return fail_errno("syncing the folder", at);
  }
  return {};
}

Result<> visit_folder(int folder, const std::string& described,
                      const std::function<void(std::string_view name, unsigned char type)>& visit) {
  // A new open file description: readdir moves the offset, which a duplicate would share with other threads.
  Fd own(::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!own) return fail_errno("reading the folder", described);
  const std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(own.get()), &::closedir);
  if (!stream) return fail_errno("reading the folder", described);
  static_cast<void>(own.release());
  while (true) {
    errno = 0;
    // readdir is safe here: no other thread has this stream.
    const dirent* const entry = ::readdir(stream.get());  // NOLINT(concurrency-mt-unsafe)
    if (entry == nullptr) break;
    const std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    unsigned char type = entry->d_type;
    if (type == DT_UNKNOWN) {
      struct stat about{};
      if (::fstatat(folder, entry->d_name, &about, AT_SYMLINK_NOFOLLOW) != 0) continue;
      type = static_cast<unsigned char>(IFTODT(about.st_mode));
    }
    visit(name, type);
  }
  if (errno != 0) return fail_errno("reading the folder", described);
  return {};
}

Result<std::vector<FolderEntry>> read_folder(int folder, const std::string& described) {
  std::vector<FolderEntry> entries;
  auto done = visit_folder(folder, described, [&](std::string_view name, unsigned char type) {
    entries.push_back({std::string(name), type});
  });
  if (!done) return std::unexpected(done.error());
  return entries;
}

Result<> remove_tree_at(int folder, const std::string& name, const std::string& described) {
  if (::unlinkat(folder, name.c_str(), 0) == 0 || errno == ENOENT) return {};
  if (errno != EISDIR) return fail_errno("removing", described);
  auto inside = open_folder_at(folder, name, described);
  if (!inside) return std::unexpected(inside.error());
  auto entries = read_folder(inside->get(), described);
  if (!entries) return std::unexpected(entries.error());
  for (const auto& entry : *entries)
    if (auto removed = remove_tree_at(inside->get(), entry.name, described + "/" + entry.name); !removed)
      return removed;
  if (::unlinkat(folder, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT) return fail_errno("removing", described);
  return {};
}

std::optional<FolderIdentity> identity_of_folder(const std::string& path) {
  struct statx about{};
  if (::statx(AT_FDCWD, path.c_str(), 0, STATX_INO | STATX_BTIME, &about) != 0) return std::nullopt;
  FolderIdentity identity{.inode = fmt::to_string(about.stx_ino), .birth_time = {}};
  constexpr std::int64_t kNsPerSecond = 1'000'000'000;
  if ((about.stx_mask & STATX_BTIME) != 0)
    identity.birth_time = fmt::to_string(about.stx_btime.tv_sec * kNsPerSecond + about.stx_btime.tv_nsec);
  return identity;
}

bool is_on_local_disk(const std::string& path) {
  constexpr std::array<unsigned long, 7> kLocal = {EXT4_SUPER_MAGIC,     0x58465342 /* xfs */, BTRFS_SUPER_MAGIC,
                                                   F2FS_SUPER_MAGIC,     0x2FC12FC1 /* zfs */, TMPFS_MAGIC,
                                                   OVERLAYFS_SUPER_MAGIC};
  struct statfs about{};
  return ::statfs(path.c_str(), &about) == 0 &&
         std::ranges::find(kLocal, static_cast<unsigned long>(about.f_type)) != kLocal.end();
}

}  // namespace perdure
