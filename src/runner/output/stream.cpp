#include "runner/output/stream.h"

namespace runner {

void Stream::open(Fd fd) {
  fd_ = std::move(fd);
  if (sys::set_nonblocking(fd_.get()) < 0) close();  // a blocking one could block the runner
}

void Stream::give(const char* bytes, unsigned long n) {
  if (!fd_) return;
  held_ = bytes;
  held_bytes_ = n;
  flush();
}

void Stream::flush() {
  while (held_bytes_ > 0) {
    const long n = sys::write(fd_.get(), held_, held_bytes_);
    if (n == -EINTR) continue;
    if (n == -EAGAIN) return;
    if (n <= 0) return close();  // the reader has gone; the log has all of it
    held_ += n;
    held_bytes_ -= static_cast<unsigned long>(n);
  }
}

void Stream::close() {
  fd_.reset();
  held_bytes_ = 0;
}

}  // namespace runner
