#include "store/row_index.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/files.h"
#include "store/stream.h"

#include <fcntl.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>

namespace perdure::store {
namespace {

constexpr const char* kIndexFile = ".index";
constexpr std::array<char, 16> kIndexMagic = {'p', 'e', 'r', 'd', 'u', 'r', 'e', ' ',
                                              'r', 'o', 'w', 's', ' ', '1', '\n'};
constexpr std::uint64_t kMostIndexBytes = 256ULL << 20U;
constexpr std::uint32_t kLeastRowBytes = 69, kMostRowBytes = 8192;
constexpr std::size_t kWindow = 64 << 10;
constexpr std::size_t kUnit = 8;
// A file that is written twice within one step of the file system's clock looks unchanged, if its size is the same.
constexpr std::int64_t kClockStepNs = 20'000'000;

struct IndexHeader {
  std::array<char, 16> magic = kIndexMagic;
  std::uint64_t bytes = 0;  // of all that follows
  std::uint64_t sum = 0;    // of that
};
static_assert(sizeof(IndexHeader) == 32);

// Before each row, which is filled up with zeros to a whole number of units.
struct RowHead {
  FileState state = {};
  std::uint32_t size = 0;
  std::uint32_t hash = 0;  // of the id
};
static_assert(sizeof(RowHead) == 32);

std::uint64_t filled_up(std::uint64_t size) {
  return (size + kUnit - 1) / kUnit * kUnit;
}

std::uint32_t hash_of(std::string_view id) {
  std::uint32_t hash = 2166136261U;
  for (const char c : id) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619U;
  return hash;
}

// Finds damage, not forgery.
class Sum {
 public:
  void add(std::string_view units) {
    for (; units.size() >= kUnit; units.remove_prefix(kUnit)) {
      std::uint64_t unit = 0;
      std::memcpy(&unit, units.data(), kUnit);
      sum_ = std::rotl((sum_ ^ unit) * 0x9E3779B97F4A7C15U, 29);
    }
  }
  [[nodiscard]] std::uint64_t value() const { return sum_; }

 private:
  std::uint64_t sum_ = 0x70657264757265U;
};

bool read_at(int fd, char* into, std::size_t size, std::uint64_t at) {
  while (size > 0) {
    const ssize_t n = ::pread(fd, into, size, static_cast<off_t>(at));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    into += n;
    at += static_cast<std::uint64_t>(n);
    size -= static_cast<std::size_t>(n);
  }
  return true;
}

std::int64_t clock_ns() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return std::int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

// Without a flush: after a power cut there may be nothing or nonsense, which is as good as none.
void write_index(const Session& session, const std::string& rows) {
  auto folder = session.open_tasks();
  if (!folder) return;
  IndexHeader header;
  header.bytes = rows.size();
  Sum sum;
  sum.add(rows);
  header.sum = sum.value();
  static std::atomic<unsigned> counter{0};
  const std::string temporary = fmt::format(".{}.{}.{}.tmp", kIndexFile, ::getpid(), counter.fetch_add(1));
  const Fd file(::openat(folder->get(), temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!file) return;
  const std::string_view head(reinterpret_cast<const char*>(&header), sizeof header);
  const bool written = write_all(file.get(), head, temporary) && write_all(file.get(), rows, temporary);
  if (!written || ::renameat(folder->get(), temporary.c_str(), folder->get(), kIndexFile) != 0)
    ::unlinkat(folder->get(), temporary.c_str(), 0);
}

void add_row(std::string& rows, std::string_view id, const FileState& state, std::string_view packed) {
  const RowHead head{.state = state, .size = static_cast<std::uint32_t>(packed.size()), .hash = hash_of(id)};
  rows.append(reinterpret_cast<const char*>(&head), sizeof head);
  rows += packed;
  rows.append(filled_up(packed.size()) - packed.size(), '\0');
}

}  // namespace

FileState state_of(const struct stat& about) {
  return {.inode = about.st_ino,
          .changed_ns = std::int64_t{about.st_ctim.tv_sec} * 1'000'000'000 + about.st_ctim.tv_nsec,
          .size = about.st_size};
}

RowIndex::RowIndex(const Session& session) {
  if (!is_on_local_disk(session.path())) return;
  const std::string path = session.tasks_path() + "/" + kIndexFile;
  auto file = open_at(AT_FDCWD, path, O_RDONLY, path);
  if (!file) return;
  file_ = std::move(*file);
  if (load()) return;
  rows_ = 0;
  slots_.clear();
}

bool RowIndex::load() {
  struct stat about{};
  IndexHeader header;
  if (::fstat(file_.get(), &about) != 0 || !S_ISREG(about.st_mode) || about.st_uid != ::geteuid() ||
      !read_at(file_.get(), reinterpret_cast<char*>(&header), sizeof header, 0) || header.magic != kIndexMagic ||
      header.bytes > kMostIndexBytes || header.bytes % kUnit != 0 ||
      static_cast<std::uint64_t>(about.st_size) != header.bytes + sizeof header)
    return false;
  bytes_ = header.bytes + sizeof header;
  // Half of them stay free, however short the rows are.
  slots_.resize(std::bit_ceil(2 * header.bytes / (sizeof(RowHead) + kLeastRowBytes) + 16));
  Sum sum;
  Window window;
  for (std::uint64_t at = sizeof header; at < bytes_;) {
    RowHead head;
    if (!look(at, sizeof head, window)) return false;
    std::memcpy(&head, window.bytes.data() + (at - window.from), sizeof head);
    const std::uint64_t whole = sizeof head + filled_up(head.size);
    if (head.size > kMostRowBytes || head.size < kLeastRowBytes || !look(at, whole, window)) return false;
    sum.add(std::string_view(window.bytes).substr(at - window.from, whole));
    if (2 * ++rows_ > slots_.size()) return false;
    std::size_t slot = head.hash & (slots_.size() - 1);
    while (slots_[slot].place != 0) slot = (slot + 1) & (slots_.size() - 1);
    slots_[slot] = {.hash = head.hash, .place = static_cast<std::uint32_t>(at / kUnit)};
    at += whole;
  }
  return sum.value() == header.sum;
}

bool RowIndex::look(std::uint64_t at, std::size_t size, Window& window) const {
  if (size > bytes_ || at > bytes_ - size) return false;
  if (at >= window.from && at + size <= window.from + window.bytes.size()) return true;
  window.from = at;
  window.bytes.resize(std::min<std::uint64_t>(std::max(kWindow, size), bytes_ - at));
  if (read_at(file_.get(), window.bytes.data(), window.bytes.size(), at)) return true;
  window.bytes.clear();
  return false;
}

std::string_view RowIndex::find(std::string_view id, const struct stat& about, Window& window) const {
  if (rows_ == 0) return {};
  const std::uint32_t hash = hash_of(id);
  for (std::size_t slot = hash & (slots_.size() - 1); slots_[slot].place != 0;
       slot = (slot + 1) & (slots_.size() - 1)) {
    if (slots_[slot].hash != hash) continue;
    const std::uint64_t at = std::uint64_t{slots_[slot].place} * kUnit;
    RowHead head;
    if (!look(at, sizeof head, window)) return {};
    std::memcpy(&head, window.bytes.data() + (at - window.from), sizeof head);
    if (head.state != state_of(about) || head.size > kMostRowBytes || !look(at, sizeof head + head.size, window))
      continue;
    const std::string_view packed = std::string_view(window.bytes).substr(at - window.from + sizeof head, head.size);
    const auto row = codec::unpack_row(packed);
    if (row && row->id == id && row->source.empty() && row->shape != Shape::kimi_cli) return packed;
  }
  return {};
}

void refresh_row_index(const Session& session) {
  if (!session.open_tasks() || !is_on_local_disk(session.path())) return;
  const std::int64_t resting = clock_ns() - kClockStepNs;
  const RowIndex old(session);
  struct Share {
    RowIndex::Window window;
    std::string rows;
    std::size_t kept = 0, made = 0;
  };
  std::array<Share, kMostWorkers> shares;
  Stream stream;
  stream.is_known = [&](std::size_t worker, std::string_view id, const struct stat& about) {
    Share& share = shares.at(worker);
    const std::string_view packed = old.find(id, about, share.window);
    if (packed.empty()) return false;
    add_row(share.rows, id, state_of(about), packed);
    ++share.kept;
    return true;
  };
  stream.take = [&](std::size_t worker, const Task& task, const struct stat* about) {
    if (about == nullptr || !is_terminal(task.status) || task.found.shape == Shape::kimi_cli) return;
    const FileState state = state_of(*about);
    if (state.changed_ns > resting) return;
    const std::string packed = codec::pack_row(task, {});
    if (packed.size() > kMostRowBytes) return;
    add_row(shares.at(worker).rows, task.id.str(), state, packed);
    ++shares.at(worker).made;
  };
  if (!stream_records(session, stream)) return;
  std::size_t kept = 0;
  std::size_t made = 0;
  std::string rows;
  for (auto& share : shares) {
    kept += share.kept;
    made += share.made;
    rows += share.rows;
    share.rows = {};
  }
  if ((made > 0 || kept != old.size()) && rows.size() <= kMostIndexBytes) write_index(session, rows);
}

}  // namespace perdure::store
