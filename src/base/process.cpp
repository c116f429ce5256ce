#include "base/process.h"

#include "base/clock.h"
#include "base/files.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <dirent.h>
#include <ranges>

namespace perdure {
namespace {

// PF_EXITING of the kernel's flags word in /proc/PID/stat.
constexpr std::uint32_t kExiting = 4;

// The initial pid namespace has a fixed inode number (PROC_PID_INIT_INO in the kernel's proc_ns.h).
constexpr ino_t kInitialPidNamespace = 0xEFFFFFFCU;

std::optional<pid_t> as_pid(std::string_view text) {
  pid_t pid = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), pid);
  if (error != std::errc() || end != text.data() + text.size() || pid <= 0) return std::nullopt;
  return pid;
}

std::vector<pid_t> pids_in(std::string_view text) {
  std::vector<pid_t> pids;
  for (const auto word : std::views::split(text, ' '))
    if (const auto pid = as_pid(std::string_view(word.begin(), word.end()))) pids.push_back(*pid);
  return pids;
}

std::vector<pid_t> numeric_names(const std::string& folder) {
  std::vector<pid_t> pids;
  Fd dir(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!dir) return pids;
  if (auto entries = read_folder(dir.get(), folder))
    for (const auto& entry : *entries)
      if (const auto pid = as_pid(entry.name)) pids.push_back(*pid);
  return pids;
}

}  // namespace

std::optional<ProcessLook> look_at_process(std::int64_t pid) {
  if (pid <= 0 || pid > INT32_MAX) return std::nullopt;
  const std::string text = read_kernel_file(fmt::format("/proc/{}/stat", pid));
  // The name in the second field may hold blanks and brackets; the last ')' ends it.
  const auto name_end = text.rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  ProcessLook look{.pid = static_cast<pid_t>(pid)};
  int field = 3;
  for (const auto part : std::views::split(std::string_view(text).substr(name_end + 2), ' ')) {
    const std::string_view word(part.begin(), part.end());
    const auto number = [&](auto& into) { std::from_chars(word.data(), word.data() + word.size(), into); };
    if (field == 3 && !word.empty()) look.state = word.front();
    if (field == 4) number(look.parent);
    if (field == 5) number(look.group);
    if (field == 6) number(look.session);
    if (field == 9) {
      std::uint32_t flags = 0;
      number(flags);
      look.is_exiting = (flags & kExiting) != 0;
    }
    if (field == 22) {
      number(look.start_ticks);
      return look;
    }
    ++field;
  }
  return std::nullopt;
}

bool is_alive(const ProcessIdentity& identity) {
  const auto look = look_at_process(identity.pid);
  return look && !look->is_dead() && look->start_ticks == identity.start_ticks;
}

bool is_running(const ProcessIdentity& identity) {
  const auto look = look_at_process(identity.pid);
  return look && !look->is_dead() && !look->is_exiting && look->start_ticks == identity.start_ticks;
}

std::int64_t start_time_ms(std::int64_t start_ticks) {
  static const std::int64_t per_second = ::sysconf(_SC_CLK_TCK);
  return boot_time_ms() + start_ticks * 1000 / per_second;
}

std::string command_line_of(pid_t pid) {
  std::string text = read_kernel_file(fmt::format("/proc/{}/cmdline", pid));
  while (!text.empty() && text.back() == '\0') text.pop_back();
  std::ranges::replace(text, '\0', ' ');
  return text;
}

std::optional<std::string> environment_value(pid_t pid, const std::string& name) {
  const std::string text = read_kernel_file(fmt::format("/proc/{}/environ", pid));
  const std::string start = name + "=";
  for (const auto part : std::views::split(text, '\0')) {
    const std::string_view variable(part.begin(), part.end());
    if (variable.starts_with(start)) return std::string(variable.substr(start.size()));
  }
  return std::nullopt;
}

bool can_read_environment(pid_t pid) {
  return static_cast<bool>(Fd(::open(fmt::format("/proc/{}/environ", pid).c_str(), O_RDONLY | O_CLOEXEC)));
}

std::string program_of(pid_t pid) {
  constexpr std::string_view kDeleted = " (deleted)";  // replaced by an upgrade
  char path[4096];
  const ssize_t n = ::readlink(fmt::format("/proc/{}/exe", pid).c_str(), path, sizeof path);
  std::string text(path, n > 0 ? static_cast<std::size_t>(n) : 0);
  if (text.ends_with(kDeleted)) text.resize(text.size() - kDeleted.size());
  return text;
}

std::vector<pid_t> all_processes() {
  return numeric_names("/proc");
}

std::vector<pid_t> children_of(pid_t pid) {
  std::vector<pid_t> children;
  for (const pid_t thread : numeric_names(fmt::format("/proc/{}/task", pid)))
    std::ranges::copy(pids_in(read_kernel_file(fmt::format("/proc/{}/task/{}/children", pid, thread))),
                      std::back_inserter(children));
  return children;
}

Result<Fd> open_pidfd(std::int64_t pid) {
  // pidfd_open(0) is refused; a negative or huge number from a record must not reach the call either.
  if (pid <= 0 || pid > INT32_MAX) return fail_os(ESRCH, "opening process", fmt::to_string(pid));
  Fd fd(static_cast<int>(::syscall(SYS_pidfd_open, static_cast<pid_t>(pid), 0)));
  if (!fd) return fail_errno("opening process", fmt::to_string(pid));
  return fd;
}

Result<> signal_pidfd(int pidfd, int signal_number) {
  if (::syscall(SYS_pidfd_send_signal, pidfd, signal_number, nullptr, 0) == 0) return {};
  return fail_errno("signalling", "the process");
}

bool in_initial_pid_namespace() {
  struct stat about{};
  return ::stat("/proc/self/ns/pid", &about) == 0 && about.st_ino == kInitialPidNamespace;
}

}  // namespace perdure
