#include "base/file_lock.h"

#include <fcntl.h>

#include <cerrno>

namespace perdure {
namespace {

struct flock whole_file() {
  struct flock range{};
  range.l_type = F_WRLCK;
  range.l_whence = SEEK_SET;
  return range;
}

}  // namespace

Result<bool> try_lock(int fd, const std::string& described) {
  struct flock range = whole_file();
  if (::fcntl(fd, F_OFD_SETLK, &range) == 0) return true;
  if (errno == EAGAIN || errno == EACCES) return false;
  return fail_errno("locking", described);
}

Result<> lock(int fd, const std::string& described) {
  struct flock range = whole_file();
  while (::fcntl(fd, F_OFD_SETLKW, &range) != 0)
    if (errno != EINTR) return fail_errno("locking", described);
  return {};
}

Result<bool> is_locked_by_another(int fd, const std::string& described) {
  struct flock range = whole_file();
  if (::fcntl(fd, F_OFD_GETLK, &range) != 0) return fail_errno("looking at the lock of", described);
  return range.l_type != F_UNLCK;
}

}  // namespace perdure
