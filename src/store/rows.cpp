#include "store/rows.h"

#include "base/error.h"
#include "base/try.h"
#include "store/row_index.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <mutex>
#include <tuple>

namespace perdure::store {
namespace {

constexpr std::size_t kChunk = 256 << 10;

std::string_view id_of(const char* bytes, std::size_t size) {
  const auto row = codec::unpack_known_row({bytes, size});
  return row ? row->id : std::string_view();
}

// What one thread has found.
struct Share {
  RowIndex::Window window;
  RowSet rows;
  std::size_t matched = 0;
  std::vector<Task> live;
};

class RowScanner {
 public:
  RowScanner(const Session& session, const RowOptions& options)
      : session_(session), options_(options), index_(session) {}

  Result<RowScan> scan() {
    Stream stream;
    if (index_.size() > 0)
      stream.is_known = [this](std::size_t worker, std::string_view id, const struct stat& about) {
        Share& share = shares_.at(worker);
        const std::string_view packed = index_.find(id, about, share.window);
        const auto row = packed.empty() ? std::nullopt : codec::unpack_known_row(packed);
        if (row) add(share, *row, packed);
        return row.has_value();
      };
    stream.take = [this](std::size_t worker, Task&& task, const struct stat*) { take(worker, std::move(task)); };
    TRY(auto parts, stream_records(session_, stream));
    RowScan found;
    for (auto& part : parts) {
      std::ranges::move(part.bad, std::back_inserter(found.bad));
      std::ranges::move(part.recordless, std::back_inserter(found.recordless));
    }
    for (auto& share : shares_) {
      found.rows.append(std::move(share.rows));
      found.matched += share.matched;
      std::ranges::move(share.live, std::back_inserter(found.live));
    }
    if (found.rows.size() > options_.most) found.rows.keep_newest(options_.most);
    return found;
  }

 private:
  void take(std::size_t worker, Task&& task) {
    Share& share = shares_.at(worker);
    if (!is_terminal(task.status)) {
      share.live.push_back(std::move(task));
      return;
    }
    const bool is_beside = task.found.shape != Shape::kimi_cli && task.found.source == session_.record_path(task.id);
    const std::string packed =
        codec::pack_row(task, is_beside ? std::string_view() : std::string_view(task.found.source));
    if (const auto row = codec::unpack_known_row(packed)) add(share, *row, packed);
  }

  void add(Share& share, const codec::Row& row, std::string_view packed) const {
    if (options_.is_wanted && !options_.is_wanted(row)) return;
    ++share.matched;
    share.rows.add(row, packed);
    if (share.rows.size() / 2 > options_.most && share.rows.size() > 512) share.rows.keep_newest(options_.most);
  }

  const Session& session_;
  const RowOptions& options_;
  const RowIndex index_;
  std::array<Share, kMostWorkers> shares_;
};

}  // namespace

void RowSet::add(const codec::Row& row, std::string_view packed) {
  if (packed.size() > left_) {
    // What does not fit a chunk gets one of its own.
    const std::size_t size = std::max(kChunk, packed.size());
    chunks_.push_back(std::make_unique_for_overwrite<char[]>(size));
    free_ = chunks_.back().get();
    left_ = size;
  }
  std::memcpy(free_, packed.data(), packed.size());
  places_.push_back({row.started_at, free_, static_cast<std::uint32_t>(packed.size())});
  free_ += packed.size();
  left_ -= packed.size();
}

void RowSet::append(RowSet&& other) {
  if (places_.empty()) {
    *this = std::move(other);
  } else {
    places_.insert(places_.end(), other.places_.begin(), other.places_.end());
    // In front, so that what is free of the last chunk stays the last.
    chunks_.insert(chunks_.begin(), std::move_iterator(other.chunks_.begin()), std::move_iterator(other.chunks_.end()));
  }
  other = RowSet();
}

bool RowSet::is_before(const Place& a, const Place& b) {
  if (a.started_at != b.started_at) return a.started_at < b.started_at;
  return id_of(a.bytes, a.size) < id_of(b.bytes, b.size);
}

void RowSet::keep_newest(std::size_t most) {
  if (places_.size() <= most) return;
  const auto last = places_.end() - static_cast<std::ptrdiff_t>(most);
  std::ranges::nth_element(places_, last, is_before);
  RowSet kept;
  std::for_each(last, places_.end(), [&](const Place& place) {
    const std::string_view packed(place.bytes, place.size);
    if (const auto row = codec::unpack_known_row(packed)) kept.add(*row, packed);
  });
  *this = std::move(kept);
}

void RowSet::sort_by_start() {
  std::ranges::sort(places_, is_before);
}

void RowSet::sort_by_id() {
  std::ranges::sort(places_,
                    [](const Place& a, const Place& b) { return id_of(a.bytes, a.size) < id_of(b.bytes, b.size); });
}

codec::Row RowSet::at(std::size_t place) const {
  return codec::unpack_known_row({places_[place].bytes, places_[place].size}).value_or(codec::Row());
}

Result<RowScan> scan_rows(const Session& session, const RowOptions& options) {
  return RowScanner(session, options).scan();
}

Result<std::optional<Task>> read_row(const Session& session, const codec::Row& row) {
  TRY(auto id, TaskId::parse(row.id));
  Task named{.id = std::move(id)};
  named.found.shape = row.shape;
  named.found.source = row.source.empty() ? session.record_path(named.id) : std::string(row.source);
  auto task = reread(named);
  const bool is_gone = !task && (task.error().os_error == ENOENT || task.error().code == ErrorCode::task_not_found);
  if (is_gone) return std::nullopt;
  if (!task) return std::unexpected(task.error());
  return std::optional<Task>(std::move(*task));
}

}  // namespace perdure::store
