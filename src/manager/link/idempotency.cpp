#include "manager/link/idempotency.h"

#include "base/error.h"
#include "base/file_lock.h"
#include "base/files.h"
#include "base/try.h"
#include "contract/names.h"
#include "store/queue.h"
#include "store/records.h"
#include "store/runner_lock.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

namespace perdure::manager {
namespace {

constexpr std::size_t kMaxKeyBytes = 120;  // in hex it must fit into a file name

std::optional<TaskId> noted_in(int file) {
  char text[80] = {};
  const ssize_t n = ::pread(file, text, sizeof text - 1, 0);
  const std::string_view known(text, n > 0 ? static_cast<std::size_t>(n) : 0);
  auto id = TaskId::parse(known.substr(0, known.find('\n')));
  return id ? std::optional(std::move(*id)) : std::nullopt;
}

std::string hex_of(const std::string& key) {
  std::string hex;
  for (const char c : key) hex += fmt::format("{:02x}", static_cast<unsigned char>(c));
  return hex;
}

}  // namespace

std::string KeyReservation::file_of(const store::Session& session, const std::string& key, const char* folder) {
  return session.path() + "/" + folder + "/" + hex_of(key);
}

Result<> KeyReservation::check(const std::string& key) {
  if (!key.empty() && key.size() <= kMaxKeyBytes) return {};
  return fail(ErrorCode::usage,
              fmt::format("an idempotency key has 1 to {} bytes, this one has {}", kMaxKeyBytes, key.size()));
}

std::optional<TaskId> KeyReservation::look_up(const store::Session& session, const std::string& key,
                                              const char* folder) {
  const std::string path = file_of(session, key, folder);
  auto file = open_at(AT_FDCWD, path, O_RDONLY, path);
  return file ? noted_in(file->get()) : std::nullopt;
}

Result<KeyReservation> KeyReservation::take(const store::Session& session, const std::string& key,
                                            const char* folder_name) {
  const std::string folder = session.path() + "/" + folder_name;
  TRY_VOID(make_folder_at(AT_FDCWD, folder, folder));
  KeyReservation reservation;
  reservation.path_ = file_of(session, key, folder_name);
  // gc may remove the file of a removed task between the opening and the locking: then try again.
  while (true) {
    TRY(auto file, open_at(AT_FDCWD, reservation.path_, O_RDWR | O_CREAT, reservation.path_));
    TRY_VOID(lock(file.get(), reservation.path_));
    struct stat held{};
    if (::fstat(file.get(), &held) != 0) return fail_errno("reading", reservation.path_);
    if (held.st_nlink == 0) continue;
    reservation.file_ = std::move(file);
    break;
  }
  reservation.known_ = noted_in(reservation.file_.get());
  return reservation;
}

std::optional<TaskId> KeyReservation::find_known(const store::Session& session) const {
  if (!known_) return std::nullopt;
  // This process holds the key's lock, so no other is starting the task. Normally there is a record or no folder. A
  // folder without a record belongs to a launch whose manager was killed; it succeeds or fails within milliseconds.
  constexpr int kMostLooks = 1000;
  constexpr int kPatience = 200;  // checks with a free lock, after which the runner was never started
  int unlocked = 0;
  for (int looks = 0; looks < kMostLooks && unlocked < kPatience; ++looks) {
    const auto record = store::find_record(session, *known_);
    if (record && *record) return known_;
    const auto queue = store::list_queue(session);
    if (queue && std::ranges::find(*queue, *known_, &store::QueueEntry::id) != queue->end()) return known_;
    if (!session.open_folder(*known_)) return std::nullopt;
    const auto alive = store::is_runner_alive(session, *known_);
    if (!alive || !*alive) ++unlocked;
    const timespec a_moment{0, 1'000'000};
    ::nanosleep(&a_moment, nullptr);
  }
  return std::nullopt;
}

Result<> KeyReservation::note(const TaskId& id) {
  // One write within one page: whole or absent. Ids may differ in length, so the old one is truncated first.
  if (::ftruncate(file_.get(), 0) != 0 || ::lseek(file_.get(), 0, SEEK_SET) != 0) return fail_errno("writing", path_);
  TRY_VOID(write_all(file_.get(), id.str() + "\n", path_));
  if (::fsync(file_.get()) != 0) return fail_errno("syncing", path_);
  if (known_) return {};  // its name has been durable since then
  const std::string folder = path_.substr(0, path_.rfind('/'));
  TRY(auto opened, open_folder_at(AT_FDCWD, folder, folder));
  if (::fsync(opened.get()) != 0) return fail_errno("syncing", folder);
  // The folder's own name too (D02): no other step of a start is sure to sync it before the answer.
  TRY(auto session, open_folder_at(AT_FDCWD, folder.substr(0, folder.rfind('/')), folder));
  return ::fsync(session.get()) == 0 ? Result<>() : fail_errno("syncing the folder of", folder);
}

}  // namespace perdure::manager
