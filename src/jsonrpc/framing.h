#pragma once

#include "base/fd.h"

#include <atomic>
#include <cstddef>
#include <mutex>
#include <string>
#include <string_view>

namespace perdure::jsonrpc {

/// Lines of a stream, each at most `limit` bytes. Uses bounded memory: a longer line is read and discarded.
class LineReader {
 public:
  /// Once `stop_fd` is readable the stream ends for this reader, even if the other end is still open.
  LineReader(int fd, std::size_t limit, int stop_fd = -1) : fd_(fd), stop_fd_(stop_fd), limit_(limit) {}

  enum class Got { line, too_long, end };
  /// Blocks. `line` has neither its end nor a carriage return before it; a last line without an end counts.
  Got next(std::string& line);

 private:
  bool fill();

  bool await();

  int fd_, stop_fd_;
  std::size_t limit_;
  std::string buffer_;
  std::size_t start_ = 0;   // of what is not handed out yet
  std::size_t looked_ = 0;  // no line end before this
  bool ended_ = false;
};

/// Writes whole lines from any number of threads.
class LineWriter {
 public:
  explicit LineWriter(int fd);

  /// False: the reader has closed the stream, or this writer was closed. Blocks while the reader is slow.
  bool write(std::string_view line);

  /// Threads that block in write(), now or later, give up when the reader takes nothing for 50 ms.
  void close_soon();

 private:
  int fd_;
  Fd closing_;
  std::atomic<bool> is_closing_ = false;
  std::mutex one_at_a_time_;  // held during write(2), so that lines are not mixed
  bool broken_ = false;
};

}  // namespace perdure::jsonrpc
