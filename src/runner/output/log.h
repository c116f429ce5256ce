#pragma once

#include "contract/launch_spec.h"
#include "contract/output_marker.h"
#include "runner/os/fd.h"

#include <cstdint>

namespace runner {

/// The command's output on disk: `output.log` up to the budget (L24), byte for byte and in order (L23).
///
/// With `truncate` the first half of the budget goes to output.log and the rest into segments `tail.<offset>`; the
/// oldest segment is removed as soon as the later ones hold the other half. finish() puts a marker in place of the
/// dropped bytes and appends the segments one by one, so that the disk never holds more than the budget and a segment
/// or two. A full disk does not stop the task: bytes that it refuses are counted (L25).
class Log {
 public:
  ///
  /// `unnamed`: the files have no names until link() is called (L27). If the file system has no unnamed files, they are
  /// hidden ones, `.output.log` and `.tail.<offset>`.
  void open(int task_folder, std::int64_t limit, perdure::contract::SpecOnLimit on_limit, bool unnamed);

  /// Gives the files their names. 0 or -errno; on failure some may have names, and the next call continues.
  [[nodiscard]] int link();
  /// Removes the names there are; open files stay readable.
  void forget();

  /// Calls visit(fd, offset) for output.log, with offset -1, and for each segment.
  template <class F>
  void each_file(F&& visit) const {
    if (file_) visit(file_.get(), std::int64_t{-1});
    for (int i = 0; i < used_; ++i)
      if (segments_[i].file) visit(segments_[i].file.get(), segments_[i].at);
  }

  /// False once: when the policy is `stop` and these bytes exceeded the budget.
  [[nodiscard]] bool append(const char* bytes, unsigned long n);

  /// Completes the log. Leftovers may append up to the budget afterwards.
  void finish();
  void sync();

  [[nodiscard]] std::int64_t stream_bytes() const { return stream_; }
  [[nodiscard]] std::int64_t dropped_bytes() const { return dropped_; }
  /// Where the first dropped byte is, or would be.
  [[nodiscard]] std::int64_t dropped_at() const { return dropped_ > 0 ? head_ : head_limit_; }
  [[nodiscard]] bool truncates() const { return truncates_; }
  [[nodiscard]] std::int64_t unstored_bytes() const { return unstored_; }

 private:
  static constexpr int kSegments = perdure::contract::kMostSegments;
  struct Segment {
    std::int64_t at = 0;  // the offset of its first byte in the stored stream
    std::int64_t bytes = 0;
    Fd file;  // open while it is written, or because it has no name
    bool is_named = false;
  };

  void store(const char* bytes, unsigned long n);
  void store_tail(const char* bytes, unsigned long n);
  Fd make(const char* name);
  unsigned long write_to(Fd& file, const char* name, const char* bytes, unsigned long n);
  [[nodiscard]] int give_name(Fd& file, bool& named, const char* name) const;
  void remove(const char* name) const;
  void drop_oldest();
  void append_segment(const Segment& segment, std::int64_t skip);

  int folder_ = -1;
  Fd file_;
  bool unnamed_ = false, hidden_ = false, is_named_ = false;
  std::int64_t limit_ = 0, head_limit_ = 0, segment_limit_ = 0;
  bool truncates_ = false, over_ = false, finished_ = false;
  std::int64_t stream_ = 0, head_ = 0, dropped_ = 0, unstored_ = 0;
  std::int64_t tail_ = 0;  // bytes in all segments
  Segment segments_[kSegments];
  int used_ = 0;
};

}  // namespace runner
