#pragma once

#include "codec/row.h"
#include "store/session.h"
#include "store/stream.h"
#include <perdure/upkeep.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

// All ended tasks of a session as rows (codec/row.h): some hundred bytes each, in chunks, so that a session of a hundred
// thousand takes ten megabytes.
namespace perdure::store {

/// Rows one after the other, never moved.
class RowSet {
 public:
  RowSet() = default;
  RowSet(RowSet&&) noexcept = default;
  RowSet& operator=(RowSet&&) noexcept = default;

  void add(const codec::Row& row, std::string_view packed);
  /// Takes what the other has.
  void append(RowSet&& other);
  /// Only the `most` that were started last stay.
  void keep_newest(std::size_t most);
  /// By start, oldest first, and by id.
  void sort_by_start();
  void sort_by_id();

  [[nodiscard]] std::size_t size() const { return places_.size(); }
  /// Good as long as the set.
  [[nodiscard]] codec::Row at(std::size_t place) const;

 private:
  struct Place {
    std::int64_t started_at;
    const char* bytes;
    std::uint32_t size;
  };
  static bool is_before(const Place& a, const Place& b);

  std::vector<Place> places_;
  std::vector<std::unique_ptr<char[]>> chunks_;
  char* free_ = nullptr;  // of the last chunk
  std::size_t left_ = 0;
};

struct RowScan {
  RowSet rows;              // of ended tasks, in no order
  std::size_t matched = 0;  // ended tasks that were wanted; more than `rows` has, where there is a limit
  std::vector<Task> live;   // records that are not terminal, whatever is wanted
  std::vector<BadRecord> bad;
  std::vector<TaskId> recordless;
};

struct RowOptions {
  /// Which ended tasks. Called by several threads at once.
  std::function<bool(const codec::Row&)> is_wanted;
  std::size_t most = SIZE_MAX;  ///< only so many of them, those that were started last
};

/// One look at everything.
[[nodiscard]] Result<RowScan> scan_rows(const Session& session, const RowOptions& options = {});

/// The record that a row was made from, as it is now. Absent: it is gone.
[[nodiscard]] Result<std::optional<Task>> read_row(const Session& session, const codec::Row& row);

}  // namespace perdure::store
