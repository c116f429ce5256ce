#include "runner/record/identity.h"

#include "runner/os/fd.h"
#include "runner/os/sys.h"

#include <linux/stat.h>
#include <sys/utsname.h>

namespace runner {
namespace {

using Members = Text<1024>;

void add_text(Members& to, std::string_view name, std::string_view value) {
  if (value.empty()) return;
  for (const char c : value)  // names of machines; anything else is not worth an escape
    if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) >= 0x7F || c == '"' || c == '\\') return;
  to << ",\"" << name << "\":\"" << value << "\"";
}

// The first line of a small file.
std::string_view line_of(const char* path, char (&buffer)[128]) {
  const Fd file(sys::open_at(AT_FDCWD, path, O_RDONLY));
  const long n = file ? sys::read(file.get(), buffer, sizeof buffer) : 0;
  const std::string_view text(buffer, n > 0 ? static_cast<unsigned long>(n) : 0);
  return first(text, text.find('\n'));
}

void add_folder(Members& to, int folder) {
  struct statx about{};
  if (::syscall(SYS_statx, folder, "", AT_EMPTY_PATH, STATX_INO | STATX_BTIME, &about) != 0) return;
  to << R"(,"sessionFolder":{"inode":")" << static_cast<long>(about.stx_ino) << "\"";
  if ((about.stx_mask & STATX_BTIME) != 0) {
    const long ns = static_cast<long>(about.stx_btime.tv_sec) * 1'000'000'000 + about.stx_btime.tv_nsec;
    to << R"(,"birthTime":")" << ns << "\"";
  }
  to << "}";
}

}  // namespace

std::string_view identity_members(int session_folder) {
  static Members members;
  if (!members.view().empty()) return members.view();
  char buffer[128];
  add_text(members, "bootId", line_of("/proc/sys/kernel/random/boot_id", buffer));
  std::string_view machine = line_of("/etc/machine-id", buffer);
  if (machine.empty()) machine = line_of("/var/lib/dbus/machine-id", buffer);
  add_text(members, "machineId", machine);
  utsname host{};
  if (::uname(&host) == 0) add_text(members, "hostName", host.nodename);
  struct stat space{};
  if (::stat("/proc/self/ns/pid", &space) == 0)
    members << R"(,"pidNamespace":")" << static_cast<long>(space.st_ino) << "\"";
  add_folder(members, session_folder);
  return members.view();
}

}  // namespace runner
