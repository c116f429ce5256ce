#include "store/outbox.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/file_lock.h"
#include "base/files.h"
#include "base/try.h"
#include "contract/names.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include <atomic>
#include <cerrno>
#include <dirent.h>

namespace perdure::store {
namespace {

using std::chrono::milliseconds;

std::int64_t in_ms(const timespec& time) {
  return std::int64_t{time.tv_sec} * 1000 + time.tv_nsec / 1'000'000;
}

bool is_before(const timespec& a, const timespec& b) {
  return a.tv_sec != b.tv_sec ? a.tv_sec < b.tv_sec : a.tv_nsec < b.tv_nsec;
}

// When the claim with these times ends. `locked`: another process holds the lock on the entry.
std::optional<std::int64_t> end_of_claim(const struct stat& about, bool locked) {
  const std::int64_t now = now_ms();
  const bool leased = is_before(about.st_ctim, about.st_mtim);
  if (!leased && !locked) return std::nullopt;
  const std::int64_t since = in_ms(leased ? about.st_ctim : about.st_mtim);
  const std::int64_t until = in_ms(about.st_mtim) + (leased ? 0 : OutboxClaim::kClaimerHangs.count());
  // Claimed in the future: the clock was set back. A notification that is delivered twice is better than one that is an
  // hour late.
  if (until <= now || since > now + OutboxClaim::kClaimerHangs.count()) return std::nullopt;
  return until;
}

Result<> stamp(const Fd& file, std::optional<milliseconds> lease, const std::string& path) {
  timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_OMIT}, {.tv_sec = 0, .tv_nsec = UTIME_NOW}};
  if (lease) {
    const std::int64_t until = now_ms() + lease->count();
    times[1] = {.tv_sec = until / 1000, .tv_nsec = until % 1000 * 1'000'000};
  }
  if (::futimens(file.get(), times) != 0) return fail_errno("claiming", path);
  return {};
}

Result<Fd> open_outbox(const Session& session) {
  return open_folder_at(AT_FDCWD, outbox_path(session), outbox_path(session));
}

// Replaces the entry of a claimer that hangs by a new file. Its lock is on the old file and has no effect any more.
Result<std::optional<Fd>> take_over(const Fd& folder, const TaskId& id, const std::string& path) {
  static std::atomic<unsigned> counter{0};
  const std::string temporary = fmt::format(".{}.{}.{}.tmp", id.str(), ::getpid(), counter.fetch_add(1));
  TRY(auto file, open_at(folder.get(), temporary, O_RDWR | O_CREAT | O_EXCL, path));
  auto locked = try_lock(file.get(), path);
  if (locked && *locked && ::renameat(folder.get(), temporary.c_str(), folder.get(), id.str().c_str()) == 0)
    return std::optional(std::move(file));
  Result<std::optional<Fd>> failed = !locked ? std::unexpected(locked.error()) : fail_errno("claiming", path);
  ::unlinkat(folder.get(), temporary.c_str(), 0);
  return failed;
}

}  // namespace

std::string outbox_path(const Session& session) {
  return session.path() + "/" + contract::kOutboxDir;
}

Result<> add_to_outbox(const Session& session, const TaskId& id) {
  const std::string path = outbox_path(session);
  TRY_VOID(make_folder_at(AT_FDCWD, path, path));
  TRY(auto folder, open_outbox(session));
  TRY_VOID(open_at(folder.get(), id.str(), O_RDONLY | O_CREAT, path + "/" + id.str()));
  // Before the record is written: else a power cut may leave the record without its entry (D41).
  if (::fsync(folder.get()) != 0) return fail_errno("syncing the folder", path);
  return {};
}

void wake_waiters(const Session& session, const TaskId& id) {
  const Fd opened_for_writing(
      ::open((outbox_path(session) + "/" + id.str()).c_str(), O_WRONLY | O_NOFOLLOW | O_CLOEXEC));
}

bool is_in_outbox(const Session& session, const TaskId& id) {
  struct stat about{};
  return ::lstat((outbox_path(session) + "/" + id.str()).c_str(), &about) == 0 && S_ISREG(about.st_mode);
}

Result<> remove_from_outbox(const Session& session, const TaskId& id) {
  const std::string path = outbox_path(session) + "/" + id.str();
  if (::unlink(path.c_str()) == 0 || is_absence(errno)) return {};
  return fail_errno("removing", path);
}

Result<std::vector<TaskId>> outbox_entries(const Session& session) {
  std::vector<TaskId> ids;
  auto folder = open_outbox(session);
  if (!folder && is_absence(folder.error().os_error)) return ids;
  if (!folder) return std::unexpected(folder.error());
  TRY(auto entries, read_folder(folder->get(), outbox_path(session)));
  for (const auto& entry : entries) {
    auto id = TaskId::parse(entry.name);
    if (entry.type == DT_REG && id && id->has_record_form()) ids.push_back(std::move(*id));
  }
  return ids;
}

Result<std::optional<std::int64_t>> claimed_until(const Session& session, const TaskId& id) {
  const std::string path = outbox_path(session) + "/" + id.str();
  // Opened read-only: closing a file opened for writing would wake every process that waits for the end of a claim.
  auto file = open_at(AT_FDCWD, path, O_RDONLY, path);
  if (!file && is_absence(file.error().os_error)) return std::nullopt;
  if (!file) return std::unexpected(file.error());
  TRY(auto locked, is_locked_by_another(file->get(), path));
  struct stat about{};
  if (::fstat(file->get(), &about) != 0) return fail_errno("looking at", path);
  return end_of_claim(about, locked);
}

Result<std::optional<OutboxClaim>> OutboxClaim::take(const Session& session, const TaskId& id,
                                                     std::optional<milliseconds> lease) {
  const std::string path = outbox_path(session) + "/" + id.str();
  auto folder = open_outbox(session);
  if (!folder && is_absence(folder.error().os_error)) return std::nullopt;
  if (!folder) return std::unexpected(folder.error());
  while (true) {
    auto file = open_at(folder->get(), id.str(), O_RDWR, path);
    if (!file && is_absence(file.error().os_error)) return std::nullopt;
    if (!file) return std::unexpected(file.error());
    TRY(auto locked, try_lock(file->get(), path));
    struct stat about{};
    if (::fstat(file->get(), &about) != 0) return fail_errno("looking at", path);
    if (end_of_claim(about, !locked)) return std::nullopt;
    if (!locked) {
      TRY(auto fresh, take_over(*folder, id, path));
      file = std::move(*fresh);
    }
    struct stat held{};
    struct stat named{};
    if (::fstat(file->get(), &held) != 0) return fail_errno("looking at", path);
    // Acknowledged or taken over between opening and locking: then the name belongs to another file, or to none.
    if (held.st_nlink == 0 || ::fstatat(folder->get(), id.str().c_str(), &named, AT_SYMLINK_NOFOLLOW) != 0 ||
        named.st_ino != held.st_ino)
      continue;
    TRY_VOID(stamp(*file, lease, path));
    if (lease) file->reset();
    return OutboxClaim(std::move(*file));
  }
}

}  // namespace perdure::store
