#include "manager/link/cancel_fd.h"

#include "base/error.h"
#include <perdure/descriptor.h>

#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>

namespace perdure {

void Descriptor::reset() noexcept {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

namespace manager {

Result<> CancelFd::begin(const Cancellation& cancellation) {
  fd_ = cancellation.fd();
  if (!cancellation.token().stop_possible()) return {};
  own_ = Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!own_) return fail_errno("making", "an event descriptor");
  fd_ = own_.get();
  callback_.emplace(cancellation.token(), [fd = fd_] {
    const std::uint64_t one = 1;
    // If the counter is full, it is readable already.
    [[maybe_unused]] const auto written = ::write(fd, &one, sizeof one);
  });
  return {};
}

}  // namespace manager
}  // namespace perdure
