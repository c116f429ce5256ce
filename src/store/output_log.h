#pragma once

#include "base/fd.h"
#include "store/session.h"
#include <perdure/task.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace perdure::store {

/// The folder of a task's log, wherever its record is. It need not exist.
[[nodiscard]] std::string output_folder(const Session& session, const Task& task);

/// Absolute path of `output.log`; absent if there is none.
[[nodiscard]] std::optional<std::string> output_log_path(const Session& session, const Task& task);

/// Bytes of the stream so far, dropped ones included; 0 if there is no log or it can't be read.
[[nodiscard]] std::int64_t output_size(const Session& session, const Task& task);

/// The files of a log without names: that of a foreground task (L27).
struct LogFiles {
  struct Segment {
    std::int64_t at = 0;  // the offset of its first byte in the stream
    Fd file;
  };
  Fd head;
  std::vector<Segment> segments;
};

/// Gives the unnamed log of an ended task its name in `tasks/<id>`, which must exist: by a link if the files are
/// unnamed ones, else by a copy. Errors: storage_full.
[[nodiscard]] Result<> name_log(const Session& session, const TaskId& id, const LogFiles& files);

/// The kept output of a task at one moment, in offsets of the stream that the command wrote. Bytes that the disk
/// refused (L25) are not counted.
///
/// The stream consists of `output.log` and, if the budget was exceeded (L24), the segments `tail.<offset>` of a running
/// task or of one whose runner was killed. Files removed later stay readable here. While a runner joins its segments,
/// shortly before the terminal record, the files alone do not show where the tail begins: a reader of a running task's
/// log reads the runner's notes afterwards (manager/watch/output.cpp).
class OutputLog {
 public:
  /// A task without a log has an empty stream. Links and files that are not regular are refused.
  [[nodiscard]] static Result<OutputLog> open(const Session& session, const Task& task);

  /// The same from open files; the descriptors are duplicated.
  [[nodiscard]] static Result<OutputLog> of(const LogFiles& files, const Task& task);

  [[nodiscard]] std::int64_t size() const { return size_; }
  [[nodiscard]] std::int64_t dropped() const;
  /// Offset of the first dropped byte; absent: no byte was dropped.
  [[nodiscard]] std::optional<std::int64_t> dropped_at() const;

  /// At most `limit` bytes from `offset`, which must not be negative, and never beyond the next dropped byte or the
  /// end. Errors: output_expired; details["nextOffset"] is the next byte that is kept, or the end.
  [[nodiscard]] Result<std::string> read(std::int64_t offset, std::int64_t limit) const;

  /// Begin and end of the last `bytes` kept bytes, never across dropped ones.
  struct Window {
    std::int64_t begin = 0, end = 0;
    bool cut = false;  ///< there are kept bytes right before `begin`
  };
  [[nodiscard]] Window tail(std::int64_t bytes) const;

 private:
  struct Piece {
    std::int64_t begin = 0, end = 0;  // in the stream
    std::int64_t file_at = 0;         // where `begin` is in the file
    std::size_t file = 0;             // in files_
  };
  struct Segment {
    std::int64_t at = 0, bytes = 0;
    Fd file;
  };

  Result<bool> open_segments(int folder, std::vector<Segment>& segments) const;
  Result<> lay_out(const Task& task, Fd head, std::vector<Segment> segments);
  void add(std::int64_t begin, std::int64_t end, std::int64_t file_at, Fd file);
  void add_again(std::int64_t begin, std::int64_t end, std::int64_t file_at);

  std::string path_;           // for errors
  std::vector<Piece> pieces_;  // ascending, none empty, none overlapping
  std::vector<Fd> files_;
  std::int64_t size_ = 0;
};

}  // namespace perdure::store
