#include "base/clock.h"

#include "base/fd.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <charconv>
#include <ctime>
#include <string>
#include <string_view>

namespace perdure {
namespace {

std::int64_t read_clock(clockid_t clock) {
  timespec t{};
  ::clock_gettime(clock, &t);
  return std::int64_t{t.tv_sec} * 1000 + t.tv_nsec / 1'000'000;
}

// Of a file with one short line, which the kernel gives at once.
std::string first_line(const char* path) {
  const Fd file(::open(path, O_RDONLY | O_CLOEXEC));
  char buffer[256];
  const ssize_t n = file ? ::read(file.get(), buffer, sizeof buffer) : 0;
  const std::string_view text(buffer, n > 0 ? static_cast<std::size_t>(n) : 0);
  return std::string(text.substr(0, text.find_first_of("\n\r")));
}

}  // namespace

std::int64_t now_ms() {
  return read_clock(CLOCK_REALTIME);
}

std::int64_t steady_ms() {
  return read_clock(CLOCK_MONOTONIC);
}

std::int64_t boot_time_ms() {
  // Not /proc/stat's btime, which is a whole second: the difference of two clocks read together is finer.
  return read_clock(CLOCK_REALTIME) - read_clock(CLOCK_BOOTTIME);
}

const std::string& boot_id() {
  static const std::string id = first_line("/proc/sys/kernel/random/boot_id");
  return id;
}

const std::string& machine_id() {
  static const std::string id = [] {
    std::string text = first_line("/etc/machine-id");
    return text.empty() ? first_line("/var/lib/dbus/machine-id") : text;
  }();
  return id;
}

const std::string& own_pid_namespace() {
  static const std::string id = [] {
    struct stat about{};
    return ::stat("/proc/self/ns/pid", &about) == 0 ? std::to_string(about.st_ino) : std::string();
  }();
  return id;
}

}  // namespace perdure
