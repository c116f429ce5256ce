#pragma once

#include "base/fd.h"
#include "store/session.h"
#include <perdure/task.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace perdure::store {

/// Folder that a task's log is in, wherever its record is; it need not exist.
[[nodiscard]] std::string output_folder(const Session& session, const Task& task);

/// Absolute path of `output.log`; absent where there is none.
[[nodiscard]] std::optional<std::string> output_log_path(const Session& session, const Task& task);

/// Bytes of the stream so far, dropped ones included; 0 where there is no log or it can't be read.
[[nodiscard]] std::int64_t output_size(const Session& session, const Task& task);

/// The files of a log that has no names: of a foreground task (L27).
struct LogFiles {
  struct Segment {
    std::int64_t at = 0;  // offset of its first byte in the stream
    Fd file;
  };
  Fd head;
  std::vector<Segment> segments;
};

/// Gives a log without names, of a task that has ended, its name in `tasks/<id>`, which is there. By a link where the
/// files are unnamed ones, else by a copy. Errors: storage_full.
[[nodiscard]] Result<> name_log(const Session& session, const TaskId& id, const LogFiles& files);

/// What is kept of a task's output at one moment, in offsets of the stream that the command wrote. Bytes that
/// the disk refused (L25) have no place in it.
///
/// The stream is put together from `output.log` and, where the budget was exceeded (L24), the segments
/// `tail.<offset>` of a task that runs or whose runner was killed. Files that vanish later stay readable
/// here. While a runner joins its segments, shortly before the terminal record, the files alone can't tell
/// where the tail begins: whoever reads the log of a running task looks at the runner's notes afterwards
/// (manager/watch/output.cpp).
class OutputLog {
 public:
  /// A task without a log has an empty one. Links and whatever is no regular file are refused.
  [[nodiscard]] static Result<OutputLog> open(const Session& session, const Task& task);

  /// The same from files that are open already; copies of the descriptors are taken.
  [[nodiscard]] static Result<OutputLog> of(const LogFiles& files, const Task& task);

  [[nodiscard]] std::int64_t size() const { return size_; }
  [[nodiscard]] std::int64_t dropped() const;
  /// Offset of the first dropped byte; absent: none was.
  [[nodiscard]] std::optional<std::int64_t> dropped_at() const;

  /// At most `limit` bytes from `offset`, which is not negative. Never more than up to the next dropped byte;
  /// nothing beyond the end. Errors: output_expired, details["nextOffset"] being the next byte that is kept,
  /// or the end.
  [[nodiscard]] Result<std::string> read(std::int64_t offset, std::int64_t limit) const;

  /// Where the last `bytes` kept bytes begin and end; never reaches across dropped ones.
  struct Window {
    std::int64_t begin = 0, end = 0;
    bool cut = false;  ///< kept bytes right before `begin` were left out
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
