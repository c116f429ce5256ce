#pragma once

#include "base/fd.h"
#include "codec/row.h"
#include "store/session.h"

#include <sys/stat.h>

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// tasks/.index: a row of each ended task whose record lies in the session's own folder, with the state that the record's
// file had when the row was made (docs/internals/disk-format.md, "Index of rows"). A cache: it may be deleted at any time, and a
// row counts only while the file is in that very state. Whatever the file holds, what is found in it is a whole row.
namespace perdure::store {

/// What tells a file that was replaced or written to from the one that was read.
struct FileState {
  std::uint64_t inode = 0;
  std::int64_t changed_ns = 0;  ///< ctime
  std::int64_t size = 0;
  bool operator==(const FileState&) const = default;
};
[[nodiscard]] FileState state_of(const struct stat& about);

/// The index as it was when this was made; one that is replaced meanwhile stays what it is. No index, one that is damaged,
/// too large, or on a disk that other machines write: an empty one. Thread-safe.
class RowIndex {
 public:
  explicit RowIndex(const Session& session);

  /// A part of the file that one thread looks at.
  struct Window {
    std::string bytes;
    std::uint64_t from = 0;
  };
  /// The packed row of the file `<id>.json` that is in this state; empty: there is none. Good until the next call with this
  /// window.
  [[nodiscard]] std::string_view find(std::string_view id, const struct stat& about, Window& window) const;

  /// How many rows it has, of records that are there or not.
  [[nodiscard]] std::size_t size() const { return rows_; }

 private:
  struct Slot {
    std::uint32_t hash = 0;
    std::uint32_t place = 0;  // in the file, in units of 8 bytes; 0: free
  };
  bool load();
  [[nodiscard]] bool look(std::uint64_t at, std::size_t size, Window& window) const;

  Fd file_;
  std::uint64_t bytes_ = 0;
  std::size_t rows_ = 0;
  std::vector<Slot> slots_;
};

/// Makes the index anew where it is not complete: rows that hold are taken over, records without one are read. Tasks that were
/// removed go. Does nothing in a session that does not exist; what fails leaves the index as it was. For mutating commands.
void refresh_row_index(const Session& session);

}  // namespace perdure::store
