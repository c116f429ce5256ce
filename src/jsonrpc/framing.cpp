#include "jsonrpc/framing.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <utility>

namespace perdure::jsonrpc {
namespace {

constexpr std::size_t kChunk = 65'536;
constexpr int kLastPatienceMs = 50;

}  // namespace

// False: reading has to stop, even if there is more.
bool LineReader::await() {
  pollfd look[] = {{.fd = fd_, .events = POLLIN, .revents = 0}, {.fd = stop_fd_, .events = POLLIN, .revents = 0}};
  while (::poll(look, 2, -1) < 0 && errno == EINTR) {
  }
  return look[1].revents == 0;
}

// False at the end of the stream. An error of the descriptor counts as the end.
bool LineReader::fill() {
  if (start_ > 0) {
    buffer_.erase(0, start_);
    looked_ -= start_;
    start_ = 0;
    // A huge message must not occupy memory until the end of the session.
    if (buffer_.capacity() > 16 * kChunk && buffer_.size() < kChunk) buffer_.shrink_to_fit();
  }
  const std::size_t had = buffer_.size();
  buffer_.resize(had + kChunk);
  ssize_t n = 0;
  bool goes_on = stop_fd_ < 0 || await();
  while (goes_on) {
    n = ::read(fd_, buffer_.data() + had, kChunk);
    if (n >= 0 || (errno != EINTR && errno != EAGAIN)) break;
    goes_on = await();
  }
  buffer_.resize(had + static_cast<std::size_t>(n < 0 ? 0 : n));
  if (n <= 0) ended_ = true;
  return n > 0;
}

LineReader::Got LineReader::next(std::string& line) {
  bool too_long = false;
  while (true) {
    const auto end = buffer_.find('\n', looked_);
    if (end != std::string::npos || (ended_ && (start_ < buffer_.size() || too_long))) {
      std::size_t stop = end == std::string::npos ? buffer_.size() : end;
      const std::size_t next_start = end == std::string::npos ? stop : end + 1;
      too_long |= stop - start_ > limit_;
      if (!too_long) {
        if (stop > start_ && buffer_[stop - 1] == '\r') --stop;
        line.assign(buffer_, start_, stop - start_);
      }
      start_ = looked_ = next_start;
      return too_long ? Got::too_long : Got::line;
    }
    if (ended_) return Got::end;
    looked_ = buffer_.size();
    if (looked_ - start_ > limit_) {
      too_long = true;
      start_ = looked_;
    }
    fill();
  }
}

LineWriter::LineWriter(int fd) : fd_(fd), closing_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

bool LineWriter::write(std::string_view line) {
  std::string bytes;
  bytes.reserve(line.size() + 1);
  bytes.append(line).push_back('\n');
  const std::lock_guard lock(one_at_a_time_);
  std::string_view left = bytes;
  while (!left.empty() && !broken_) {
    // Checked before each write, so that a reader that takes nothing can't keep the program from exiting.
    pollfd look[] = {{.fd = fd_, .events = POLLOUT, .revents = 0},
                     {.fd = is_closing_ ? -1 : closing_.get(), .events = POLLIN, .revents = 0}};
    const int ready = ::poll(look, 2, is_closing_ ? kLastPatienceMs : -1);
    if (ready < 0 && errno == EINTR) continue;
    if (look[0].revents == 0) {
      if (ready == 0) broken_ = true;
      continue;
    }
    // A writable pipe takes this much without blocking.
    const ssize_t n = ::write(fd_, left.data(), std::min<std::size_t>(left.size(), 4096));
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (n < 0) {
      broken_ = true;
    } else {
      left.remove_prefix(static_cast<std::size_t>(n));
    }
  }
  return left.empty();
}

void LineWriter::close_soon() {
  is_closing_ = true;
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t told = ::write(closing_.get(), &one, sizeof one);
}

}  // namespace perdure::jsonrpc
