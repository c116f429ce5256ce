#include "store/active.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/files.h"
#include "base/try.h"
#include "contract/names.h"
#include "contract/seq.h"
#include "store/outbox.h"
#include "store/queue.h"
#include "store/records.h"
#include "store/runner_lock.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include <bit>
#include <dirent.h>
#include <functional>
#include <mutex>
#include <optional>
#include <unordered_set>

namespace perdure::store {
namespace {

using namespace contract;

constexpr std::size_t kMostIdBytes = 64 << 20;  // of the cache; a larger one is ignored
constexpr std::int64_t kEntryRestsMs = 60'000;

std::string active_path(const Session& session) {
  return session.path() + "/" + kActiveDir;
}

Result<Fd> open_active(const Session& session) {
  return open_folder_at(AT_FDCWD, active_path(session), active_path(session));
}

// Identifies this boot and this folder, so that an index of another boot or of a copied session differs. Empty:
// unknown.
std::string here_and_now(const Session& session) {
  const auto folder = identity_of_folder(session.path());
  if (boot_id().empty() || !folder) return {};
  return fmt::format("{} {} {}\n", boot_id(), folder->inode, folder->birth_time.value_or("-"));
}

// Absent: the file is one of 0.1, or can't be read. If there is no file, no event was ever numbered here.
std::optional<SeqWords> read_seq(const Session& session) {
  const std::string path = session.path() + "/" + kSeqFile;
  auto file = open_at(AT_FDCWD, path, O_RDONLY, path);
  if (!file && is_absence(file.error().os_error)) return SeqWords();
  SeqWords words;
  if (!file || ::pread(file->get(), &words, sizeof words, 0) != kSeqBytes) return std::nullopt;
  return words;
}

// Notes that every record up to this number was examined.
void note_seq(const Session& session, std::int64_t seen) {
  const std::string path = session.path() + "/" + kSeqFile;
  auto file = open_at(AT_FDCWD, path, O_RDWR, path);
  struct stat about{};
  if (!file || ::fstat(file->get(), &about) != 0 || about.st_size < 8) return;
  constexpr std::int64_t kZero = 0;
  if (about.st_size < kSeqBytes && ::pwrite(file->get(), &kZero, sizeof kZero, 8) != 8) return;
  void* const page = ::mmap(nullptr, kSeqBytes, PROT_READ | PROT_WRITE, MAP_SHARED, file->get(), 0);
  if (page == MAP_FAILED) return;
  __atomic_store_n(static_cast<std::int64_t*>(page) + 1, seen, __ATOMIC_SEQ_CST);
  ::munmap(page, kSeqBytes);
}

// What a scan of all records finds.
class Found {
 public:
  explicit Found(const Session& session) : session_(session) {}

  void note(const Task& task) {
    if (task.found.source != session_.record_path(task.id)) return;
    const bool is_own = task.host.runner || task.question.on_deadline || task.executor;
    const std::scoped_lock lock(mutex_);
    if (is_own && (!is_terminal(task.status) || task.process.leftovers.value_or(0) > 0)) {
      live_.push_back(task.id);
    } else if (is_terminal(task.status) && (is_own || task.status != Status::lost)) {
      ended_ += task.id.str() + "\n";
    }
  }

  [[nodiscard]] const std::vector<TaskId>& live() const { return live_; }
  [[nodiscard]] const std::string& ended() const { return ended_; }

 private:
  const Session& session_;
  std::mutex mutex_;
  std::vector<TaskId> live_;
  std::string ended_;
};

}  // namespace

Result<> add_to_active(const Session& session, const TaskId& id) {
  const std::string path = active_path(session);
  TRY_VOID(make_folder_at(AT_FDCWD, path, path));
  TRY(auto folder, open_active(session));
  TRY_VOID(open_at(folder.get(), id.str(), O_RDONLY | O_CREAT, path + "/" + id.str()));
  return {};
}

void end_in_active(const Session& session, const TaskId& id) {
  auto folder = open_active(session);
  if (!folder || ::unlinkat(folder->get(), id.str().c_str(), 0) != 0) return;
  const auto ended = open_at(folder->get(), kEndedIds, O_WRONLY | O_APPEND, kEndedIds);
  const std::string line = id.str() + "\n";
  if (ended) static_cast<void>(!::write(ended->get(), line.data(), line.size()));
}

void remove_from_active(const Session& session, const TaskId& id) {
  ::unlink((active_path(session) + "/" + id.str()).c_str());
}

Result<std::vector<TaskId>> active_entries(const Session& session) {
  std::vector<TaskId> ids;
  auto folder = open_active(session);
  if (!folder && is_absence(folder.error().os_error)) return ids;
  if (!folder) return std::unexpected(folder.error());
  TRY(auto entries, read_folder(folder->get(), active_path(session)));
  for (const auto& entry : entries) {
    if (entry.type != DT_REG || !TaskId::names_record(entry.name)) continue;
    if (auto id = TaskId::parse(entry.name)) ids.push_back(std::move(*id));
  }
  return ids;
}

namespace {

bool is_complete(const Session& session, const std::string& here) {
  const std::string path = active_path(session) + "/" + kActiveComplete;
  const auto noted = read_regular_file(AT_FDCWD, path, 4096, path);
  if (!noted || *noted != here) return false;
  const auto words = read_seq(session);
  return words && words->last == words->last_of_ours;
}

}  // namespace

bool is_active_complete(const Session& session) {
  const std::string here = here_and_now(session);
  return !here.empty() && is_complete(session, here);
}

Result<> complete_active(const Session& session) {
  const std::string here = here_and_now(session);
  if (here.empty() || is_complete(session, here) || !session.open_tasks()) return {};
  const auto words = read_seq(session);
  std::int64_t seen = words ? words->last : 0;
  if (!words) {  // a file of 0.1 holds one number only
    const std::string path = session.path() + "/" + kSeqFile;
    const auto file = open_at(AT_FDCWD, path, O_RDONLY, path);
    if (!file || ::pread(file->get(), &seen, sizeof seen, 0) != sizeof seen) return {};
  }
  Found found(session);
  ScanOptions options;
  options.take = [&](const Task& task) { found.note(task); };
  TRY(auto parts, scan_in_parts(session, options));
  std::vector<TaskId> live = found.live();
  // A runner of 0.1 takes the number of its start after it made the folder and before it wrote the record.
  for (auto& part : parts) live.insert(live.end(), part.recordless.begin(), part.recordless.end());
  TRY(auto queue, list_queue(session));
  for (const auto& entry : queue) live.push_back(entry.id);
  const std::string path = active_path(session);
  TRY_VOID(make_folder_at(AT_FDCWD, path, path));
  TRY(auto folder, open_active(session));
  for (const auto& id : live) TRY_VOID(open_at(folder.get(), id.str(), O_RDONLY | O_CREAT, path + "/" + id.str()));
  TRY_VOID(replace_file(folder.get(), kEndedIds, found.ended(), path + "/" + kEndedIds));
  note_seq(session, seen);
  return replace_file(folder.get(), kActiveComplete, here, path + "/" + kActiveComplete);
}

EndedIds::EndedIds(const Session& session) {
  const std::string path = active_path(session) + "/" + kEndedIds;
  if (auto text = read_regular_file(AT_FDCWD, path, kMostIdBytes, path)) text_ = std::move(*text);
  std::size_t count = 0;
  for (const char c : text_) count += c == '\n' ? 1 : 0;
  places_.resize(std::bit_ceil(2 * count + 2));
  for (std::size_t at = 0; at < text_.size();) {
    const std::size_t end = text_.find('\n', at);
    if (end == std::string::npos) break;  // truncated
    const std::string_view id(text_.data() + at, end - at);
    std::size_t slot = std::hash<std::string_view>()(id) & (places_.size() - 1);
    while (places_[slot] != 0 && id_at(places_[slot]) != id) slot = (slot + 1) & (places_.size() - 1);
    places_[slot] = static_cast<std::uint32_t>(at) + 1;
    at = end + 1;
  }
}

std::string_view EndedIds::id_at(std::uint32_t place) const {
  const std::string_view rest = std::string_view(text_).substr(place - 1);
  return rest.substr(0, rest.find('\n'));
}

bool EndedIds::contains(std::string_view id) const {
  std::size_t slot = std::hash<std::string_view>()(id) & (places_.size() - 1);
  while (places_[slot] != 0) {
    if (id_at(places_[slot]) == id) return true;
    slot = (slot + 1) & (places_.size() - 1);
  }
  return false;
}

void tidy_active(const Session& session, const std::vector<TaskId>& looked_at) {
  if (looked_at.empty()) return;
  std::unordered_set<std::string> queued;
  const auto queue = list_queue(session);
  if (!queue) return;
  for (const auto& entry : *queue) queued.insert(entry.id.str());
  for (const auto& id : looked_at) {
    if (queued.contains(id.str())) continue;
    const auto task = find_record(session, id);
    if (!task) continue;
    if (*task) {
      const bool lives = is_runner_alive(session, id).value_or(true) || has_leftovers(session, id).value_or(true);
      if (is_terminal((*task)->status) && !lives) end_in_active(session, id);
      continue;
    }
    // Without a folder no runner can be about to start the task. If there is a folder, gc removes that first.
    struct stat about{};
    const std::string path = active_path(session) + "/" + id.str();
    const bool is_old =
        ::lstat(path.c_str(), &about) == 0 && std::int64_t{about.st_mtim.tv_sec} * 1000 + kEntryRestsMs < now_ms();
    if (is_old && ::lstat(session.folder_path(id).c_str(), &about) != 0 && is_absence(errno))
      remove_from_active(session, id);
  }
}

}  // namespace perdure::store
